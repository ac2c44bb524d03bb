"""Statistics of the channels over the training period, and the static fields.

in:  states      Zarr stores of the training segments
     invariants  GRIB, surface geopotential, land-sea mask, covers where it has them
out: statistics  Zarr (fuxiflow.states.statistics)
"""

import numpy as np

from fuxiflow.progress import progress
from fuxiflow.states.coordinates import iso_texts, times_within
from fuxiflow.states.decoding import read_invariants
from fuxiflow.states.statistics import Statistics, accumulate_moments, static_fields
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    states = StateSeries(input.states)
    times = times_within(states.times, params.dates)
    series = ((time, states.read(time)) for time in progress(times, "statistics", log))
    moments, tendencies = accumulate_moments(
        series, states.channels.names, states.grid.area_weights
    )
    degenerate = [
        name
        for name, std, tendency in zip(
            states.channels.names, moments.std, tendencies.std, strict=True
        )
        if not (std > 0 and tendency > 0)
    ]
    if degenerate:
        raise ValueError(
            f"no spread over {len(times)} times of {params.dates}: {', '.join(degenerate)}"
        )
    raw = read_invariants(input.invariants, states.grid)
    statics = static_fields(raw, states.grid)
    Statistics(
        channels=states.channels.names,
        mean=moments.mean,
        std=moments.std,
        tendency_std=tendencies.std,
        statics=np.stack(list(statics.values())),
        static_names=list(statics),
        raw=raw,
        period=(iso_texts(times[:1])[0], iso_texts(times[-1:])[0]),
    ).write(output.statistics)
    log.info("%d times, %d tendencies", len(times), int(tendencies.count.max()))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
