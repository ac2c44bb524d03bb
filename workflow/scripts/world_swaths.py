"""Simulate one segment's swaths of one sounder from the nature run and write its level-1 files.

in:  truth   Zarr stores of the truth that cover the dates and the first time after them (fuxiflow.world.truth)
out: swaths  directory of granules in the source's format, and provenance.json
"""

import numpy as np
import torch

from fuxiflow.config import sources
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.progress import progress
from fuxiflow.storage import provenance
from fuxiflow.world import formats
from fuxiflow.world.swaths import observe_day
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindows, days


def main(input, output, params, log):
    torch.set_flush_denormal(True)
    source = sources.load_source(params.source)
    platforms = source.flying(params.swath.get("platforms"))
    operator = MicrowaveOperator.for_instrument(source.instrument)
    truth = TruthWindows(Truth(input.truth))
    noise = params.swath["noise"] * np.array(source.noise)
    output.swaths.mkdir(parents=True, exist_ok=True)
    written = footprints = 0
    for day in progress(
        days(params.dates, truth.times, "scans", log), f"swaths of {source.name}", log
    ):
        for platform in platforms:
            for swath, brightness in observe_day(
                source,
                platform,
                operator,
                truth,
                day,
                params.swath,
                params.granule_minutes,
                params.seed,
            ):
                formats.write_granule(output.swaths, source, platform, swath, brightness, noise)
                written += 1
                footprints += swath.lat.size
    provenance.write_sidecar(output.swaths)
    log.info("%d granules with %d footprints of %s", written, footprints, source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
