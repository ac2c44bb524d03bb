"""Gridded states: decoding, regridding, shards, statistics and climatology."""
