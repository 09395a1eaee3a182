"""Student copies of the notebooks, the archive for a room without a network, courses for nbgrader."""

from m2s.errors import require_extra

require_extra("notebooks", "nbformat")
