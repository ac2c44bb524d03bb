"""Write one segment of the world's GFS: analyses every 6 h, and forecasts that start from them.

Forecasts are integrations from analyses with error, of the nature model or one that differs.

in:  truth   Zarr, the segment's truth
     native  Zarr, states of the nature run at the init times
     errors  Zarr, library of error patterns
out: gfs     directory of GRIB2 files, named as NCEP names them
"""

from datetime import date, timedelta
from functools import partial

from fuxiflow.channels import channel_table
from fuxiflow.config.world import ImperfectModel
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.times import times
from fuxiflow.world.analysis_errors import AnalysisErrors, ErrorLibrary
from fuxiflow.world.levels import Regridder, world_fields
from fuxiflow.world.nature import (
    STRIDE_HOURS,
    NatureModel,
    frame_times,
    model_state_times,
    read_model_state,
)
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.gfs import GfsWriter


def main(input, output, params, log):
    """Write analyses over ``params.dates`` and forecasts from every state in ``input.native``."""
    truth = Truth([input.truth])
    library = ErrorLibrary(input.errors)
    errors = AnalysisErrors(**params.errors)
    writer = GfsWriter(output.gfs, truth.grid)
    names = channel_table().analysed.names
    land = truth.static("land_fraction")
    for time in progress(times(*map(date.fromisoformat, params.dates)), "GFS analyses", log):
        pattern = library.fields("gfs", time)
        fields = errors.analysed(truth.read(time, names), pattern, time, land, truth.grid.lon)
        writer.write(time, 0, fields)
    init_times = model_state_times(input.native)
    if init_times:
        changes = ImperfectModel(**params.model)
        model = NatureModel(params.truncation, params.time_step_minutes, params.cache, changes)
        fields_of = partial(
            world_fields,
            sigma=model.sigma,
            surface_geopotential=model.surface_geopotential,
            regrid=Regridder(model.lat, model.lon, truth.grid),
        )
    # the model runs in whole strides
    hours = -(-params.max_lead_hours // STRIDE_HOURS) * STRIDE_HOURS
    for init_time in progress(init_times, "GFS forecasts", log):
        patterns = library.native("gfs", init_time)
        increments = {name: errors.error * field for name, field in patterns.items()}
        analysis = model.perturbed(read_model_state(input.native, model, init_time), increments)
        for state, frames in model.advance(analysis, hours):
            for valid_time, frame in zip(frame_times(state, frames), frames, strict=True):
                lead_hours = int((valid_time - init_time) / timedelta(hours=1))
                if lead_hours <= params.max_lead_hours:
                    writer.write(init_time, lead_hours, fields_of(frame))
    seal_folder(output.gfs)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
