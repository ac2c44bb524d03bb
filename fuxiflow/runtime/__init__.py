"""What runs a script: rule runner, provenance of jobs, fingerprints, records, costs, the monitor of a run."""
