"""The networks that the papers compare with, a file each."""
