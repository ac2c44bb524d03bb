"""Simulate one segment's swaths of one sounder from the nature run and write its level-1 files.

in:  truth   Zarr stores of the truth that cover the dates and the first time after them
             (fuxiflow.world.truth)
out: swaths  directory of granules in the source's format, provenance.json and manifest.json
"""

from datetime import date

import numpy as np
import torch

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.swaths import observe_swaths, seen_variables, swath_operator
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindows, observed_days
from fuxiflow.world.writers.granules import write_granules


def main(input, output, params, log):
    # denormal numbers of the thin upper air would slow the operator down
    torch.set_flush_denormal(True)
    source = sources.load_source(params.source)
    options = settings.ObservedSwaths(**params.swath)
    radiances = settings.Radiances(**params.radiances)
    operator = swath_operator(source, radiances)
    truth = TruthWindows(Truth(input.truth), seen_variables(radiances))
    noise = options.noise * np.array(source.noise)
    days = observed_days(*map(date.fromisoformat, params.dates), truth.times, "scans", log)
    output.swaths.mkdir(parents=True, exist_ok=True)

    def observed(day):
        for platform in source.flying(options.platforms):
            for swath, brightness in observe_swaths(
                source,
                platform,
                operator,
                truth,
                day,
                options,
                params.granule_minutes,
                params.seed,
                radiances,
            ):
                yield platform, swath, brightness

    counts = []
    for day in progress(days, f"swaths of {source.name}", log):
        counts += write_granules(output.swaths, source, day, observed(day), noise)
    seal_folder(output.swaths)
    log.info("%d granules with %d footprints of %s", len(counts), sum(counts), source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
