"""Observation operators: from a model state to what an instrument measures."""
