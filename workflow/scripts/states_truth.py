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
    valid_times = times.times(*map(date.fromisoformat, params.dates))
    channels = channel_table()
    grid = Grid(**params.grid)
    states = truth_states(input.raw, valid_times, channels, grid)
    states = progress(states, "truth", log, total=len(valid_times))
    write_states(output.states, valid_times, channels, grid, states, attrs={"reference": "truth"})


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
