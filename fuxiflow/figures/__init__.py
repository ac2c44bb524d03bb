"""Figures from stored tables: one module a figure, ``table(...)`` gathers what is drawn, ``draw(table)`` draws it."""
