"""Training of the networks: samples, plans, losses, and one loop for all stages."""
