"""Snakemake that asks Slurm for its jobs every few seconds, however long none of them ends.

Its plug-in waits ten seconds longer after each question that found no job ended, up to three
minutes, and has no option for it. On the tests' own Slurm that is nothing but waiting.
"""

import asyncio
import os
import sys

SECONDS = 3.0


async def ask_again(executor) -> None:
    """Wait for the next question, always as long."""
    await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    # as with ``python -m snakemake``: modules beside this file are none of Snakemake's
    sys.path[0] = os.getcwd()

    from snakemake.cli import main
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.sleep = ask_again
    main(sys.argv[1:])
