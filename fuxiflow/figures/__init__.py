"""Figures from stored tables: in each module ``table(...)`` gathers what ``draw(table)`` draws."""
