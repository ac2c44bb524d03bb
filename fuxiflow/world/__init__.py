"""The embedded world: a nature run and the raw files that agencies would deliver from it."""
