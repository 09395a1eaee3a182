"""Data sets on a disk: image and volume files, and the layouts of folders in which they lie."""
