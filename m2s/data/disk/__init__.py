"""What lies on a disk, read: images, volumes, the layouts that data sets come in."""
