"""The machinery around scripts, which changes no result.

Rule runner, several processes, Slurm; fingerprints and records; costs; the monitor of a run;
Snakemake's private parts.
"""
