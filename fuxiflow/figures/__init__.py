"""Figures: one module a figure, each drawn from a table that is saved beside it."""
