"""Student copies of the notebooks, the archive for a room without a network, courses for nbgrader."""
