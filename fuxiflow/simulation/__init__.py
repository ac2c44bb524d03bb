"""Simulated observations, for training alone: reanalyses seen at real places with real errors."""
