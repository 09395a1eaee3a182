"""The command line: ``m2s`` or ``python -m m2s``."""
