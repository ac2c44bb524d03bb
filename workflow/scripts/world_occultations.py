"""Simulate one segment's radio occultations of one source from the nature run.

in:  truth     Zarr stores of the truth that cover the dates and the first time after them
               (fuxiflow.world.truth)
out: profiles  directory of ROM SAF NetCDF files, one a day, provenance.json and manifest.json
"""

from datetime import date

import numpy as np

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.occultations import VARIABLES, join_occultations, observe_occultations
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindows, observed_days
from fuxiflow.world.writers.occultation_netcdf import write_occultations


def main(input, output, params, log):
    source = sources.load_source(params.source)
    options = settings.ObservedOccultations(**params.occultations)
    truth = TruthWindows(Truth(input.truth), VARIABLES)
    days = observed_days(*map(date.fromisoformat, params.dates), truth.times, "occultations", log)
    output.profiles.mkdir(parents=True, exist_ok=True)
    written = 0
    for day in progress(days, f"occultations of {source.name}", log):
        by_platform = {
            platform.name: observe_occultations(source, platform, truth, day, options, params.seed)
            for platform in source.flying(options.platforms)
        }
        by_platform = {name: part for name, part in by_platform.items() if part}
        if by_platform:
            counts = [len(part) for part in by_platform.values()]
            platforms = np.repeat(list(by_platform), counts).tolist()
            path = output.profiles / f"{source.name}_{day:%Y%m%d}_fuxi_sim.nc"
            write_occultations(path, join_occultations(list(by_platform.values())), platforms)
            written += len(platforms)
    seal_folder(output.profiles)
    log.info("%d occultations of %s", written, source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
