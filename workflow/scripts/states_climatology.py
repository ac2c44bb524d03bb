"""Compute the climatology by day of year and hour of day over the training period.

in:  states       Zarr stores of the training segments
out: climatology  Zarr (fuxiflow.states.climatology)
"""

from fuxiflow.states.climatology import build_climatology
from fuxiflow.states.coordinates import times_within
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    states = StateSeries(input.states)
    times = times_within(states.times, params.dates)
    build_climatology(
        output.climatology,
        times,
        states.read,
        states.channels,
        states.grid,
        params.window_days,
        log,
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
