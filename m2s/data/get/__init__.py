"""How a data set gets onto the disk: fetched, unpacked, prepared in one layout, and checked."""
