"""Verification: metrics, intervals and the one tidy score table."""
