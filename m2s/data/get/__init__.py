"""How data sets get onto a disk: fetch, unpack, prepare, list."""
