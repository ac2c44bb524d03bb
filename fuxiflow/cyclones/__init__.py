"""Tropical cyclones: best tracks."""
