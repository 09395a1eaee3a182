"""Runs: planned, built, trained, scored, stored."""
