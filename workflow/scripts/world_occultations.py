"""Simulate one segment's radio occultations of one source from the nature run.

in:  truth     Zarr stores of the truth that cover the dates and the first time after them (fuxiflow.world.truth)
out: profiles  directory of ROM SAF NetCDF files, one a day, and provenance.json
"""

import numpy as np

from fuxiflow.config import sources
from fuxiflow.progress import progress
from fuxiflow.storage import provenance
from fuxiflow.world import occultation_netcdf
from fuxiflow.world.occultations import VARIABLES, join, observe_day
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindows, days


def main(input, output, params, log):
    source = sources.load_source(params.source)
    truth = TruthWindows(Truth(input.truth), VARIABLES)
    output.profiles.mkdir(parents=True, exist_ok=True)
    written = 0
    for day in progress(
        days(params.dates, truth.times, "occultations", log), f"occultations of {source.name}", log
    ):
        seen = {
            platform.name: observe_day(
                source, platform, truth, day, params.occultations, params.seed
            )
            for platform in source.flying(params.occultations["platforms"])
        }
        seen = {name: part for name, part in seen.items() if part is not None and len(part)}
        if seen:
            platforms = np.repeat(list(seen), [len(part) for part in seen.values()]).tolist()
            path = output.profiles / f"{source.name}_{day:%Y%m%d}_fuxi_sim.nc"
            occultation_netcdf.write(path, join(list(seen.values())), platforms)
            written += len(platforms)
    provenance.write_sidecar(output.profiles)
    log.info("%d occultations of %s", written, source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
