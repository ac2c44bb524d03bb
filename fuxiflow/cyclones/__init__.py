"""Tropical cyclones: best tracks, the tracker, errors of forecast tracks."""
