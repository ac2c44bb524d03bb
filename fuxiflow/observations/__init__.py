"""Observations: readers, footprint tables, quality control, ledgers and sparse grids."""
