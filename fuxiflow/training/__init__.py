"""Training: samples, losses, the loop, and the stages built from them."""
