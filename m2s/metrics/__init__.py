"""Scores of predictions, by the conventions of the papers."""
