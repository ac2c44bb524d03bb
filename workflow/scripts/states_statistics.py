"""Compute the statistics of the channels over the training period, and the static fields.

in:  states      Zarr stores of the training segments
     invariants  GRIB, surface geopotential, land-sea mask, covers where it has them
out: statistics  Zarr (fuxiflow.states.statistics)
"""

from fuxiflow.states.coordinates import times_within
from fuxiflow.states.decoding import read_invariants
from fuxiflow.states.statistics import compute_statistics
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    states = StateSeries(input.states)
    times = times_within(states.times, params.dates)
    raw = read_invariants(input.invariants, states.grid)
    compute_statistics(states, times, raw, log).write(output.statistics)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
