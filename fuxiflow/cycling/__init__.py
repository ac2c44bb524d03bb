"""Inference: the assimilation cycle and the forecasts that start from it."""
