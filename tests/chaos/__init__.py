"""Harm to a finished run of ``config/test.yaml``, and what comes of it: ``make test-chaos``."""
