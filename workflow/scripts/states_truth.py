"""Put the embedded world's truth on the networks' grid: a reference for verification only.

in:  raw     Zarr, one array (time, lat, lon) for each channel on the world's grid
out: states  Zarr, one state each 6 hours (fuxiflow.states.store)
"""

from datetime import date

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.decoding import truth_states
from fuxiflow.states.store import write_states


def main(input, output, params, log):
    wanted = times.times(*map(date.fromisoformat, params.dates))
    grid = Grid(**params.grid)
    states = progress(
        truth_states(input.raw, wanted, channel_table(), grid), "truth", log, total=len(wanted)
    )
    write_states(output.states, wanted, channel_table(), grid, states, attrs={"reference": "truth"})


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
