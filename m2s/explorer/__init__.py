"""The explorer of a network's feature maps, with ipywidgets."""
