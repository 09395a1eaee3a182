"""The explorer of a network's feature maps, with ipywidgets."""

from m2s.errors import require_extra

require_extra("notebooks", "ipywidgets")
