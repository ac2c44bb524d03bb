"""The networks: forecaster and assimilator, with all they need to run inside their checkpoint."""
