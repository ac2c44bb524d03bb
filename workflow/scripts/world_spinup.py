"""Spin the nature run up from its climate.

Day-to-day differences of its end are kept as patterns of analysis error.

out: restart  state of the model at 00 UTC of the first day (fuxiflow.world.nature.ModelState)
     errors   Zarr, library of 24-h differences (fuxiflow.world.analysis_errors)
"""

from datetime import datetime, timedelta

import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.world import climate
from fuxiflow.world.analysis_errors import write_library
from fuxiflow.world.levels import Regridder, world_fields
from fuxiflow.world.nature import STRIDE_HOURS, NatureModel, frame_times


def main(input, output, params, log):
    """Integrate ``params.days`` days or somewhat more that end at 00 UTC of ``params.start``."""
    end = datetime.fromisoformat(params.start)
    grid = Grid(**params.grid, poles=True)
    names = channel_table().analysed.names
    model = NatureModel(params.truncation, params.time_step_minutes, params.cache)
    regrid = Regridder(model.lat, model.lon, grid)
    library_start = end - timedelta(days=min(params.error_days + 1, 0.9 * params.days))
    times, fields, native = [], [], []
    begin = climate.climate_start(model, end - timedelta(days=params.days))
    hours = int((end - begin.time) / timedelta(hours=1))
    for state, frames in progress(
        model.advance(begin, hours), "spin-up, half days", log, total=hours // STRIDE_HOURS
    ):
        for time, frame in zip(frame_times(state, frames), frames, strict=True):
            if time >= library_start:
                truth = world_fields(frame, model.sigma, model.surface_geopotential, regrid)
                times.append(time)
                fields.append(np.stack([truth[name] for name in names]))
                native.append(frame)
    write_library(output.errors, times, grid, names, fields, native)
    state.write(output.restart)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
