"""Average one calendar slice of the training period, of all years, at the nodes that it touches.

in:  states  Zarr stores of the slice in each year
out: part    Zarr (fuxiflow.states.climatology_parts)
"""

from fuxiflow.states.climatology_parts import write_part
from fuxiflow.states.coordinates import times_within
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    states = StateSeries(input.states)
    times = [time for span in params.spans for time in times_within(states.times, span)]
    write_part(
        output.part,
        times,
        states.read,
        states.channels,
        states.grid,
        params.window_days,
        log,
        params.reading.threads,
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
