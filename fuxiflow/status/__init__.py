"""What a person sees while the workflow runs: lines in the terminal, a page, and what to do after a failure.

Runs inside Snakemake's main process, on one machine and on a cluster alike, as all that it reads lies in ``results/``:
the logs of the jobs. Imports nothing heavy.
"""
