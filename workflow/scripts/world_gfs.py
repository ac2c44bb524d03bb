"""Write one segment of the world's GFS: analyses every 6 h, and forecasts that are integrations of the model from them.

in:  truth   Zarr, the segment's truth
     native  Zarr, states of the nature run at the init times
     errors  Zarr, library of error patterns
out: gfs     directory of GRIB2 files, named as NCEP names them
"""

from datetime import date, timedelta

from fuxiflow.channels import channel_table
from fuxiflow.progress import progress
from fuxiflow.storage import provenance
from fuxiflow.times import times
from fuxiflow.world.analysis_errors import AnalysisErrors, ErrorLibrary
from fuxiflow.world.levels import Regridder, world_fields
from fuxiflow.world.nature import (
    FRAME_HOURS,
    STRIDE_HOURS,
    NatureModel,
    model_state_times,
    read_model_state,
)
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.gfs import GfsWriter


def main(input, output, params, log):
    """Analyses over ``params.dates``; forecasts of ``params.max_lead_hours`` from every state in ``input.native``."""
    truth, library = Truth([input.truth]), ErrorLibrary(input.errors)
    errors, writer = AnalysisErrors(**params.errors), GfsWriter(output.gfs, truth.grid)
    names, land, lon = channel_table().analysed.names, truth.static("land_fraction"), truth.grid.lon
    for time in progress(times(*map(date.fromisoformat, params.dates)), "GFS analyses", log):
        fields = errors.analysed(
            truth.read(time, names), library.fields("gfs", time), time, land, lon
        )
        writer.write(time, 0, fields)
    starts = model_state_times(input.native)
    if starts:
        model = NatureModel(params.truncation, params.time_step_minutes, params.cache)
        regrid = Regridder(model.lat, model.lon, truth.grid)
    for init_time in progress(starts, "GFS forecasts", log):
        increments = {
            name: errors.error * field for name, field in library.native("gfs", init_time).items()
        }
        analysis = model.perturbed(read_model_state(input.native, model, init_time), increments)
        for state, frames in model.advance(
            analysis, -(-params.max_lead_hours // STRIDE_HOURS) * STRIDE_HOURS
        ):
            for i, frame in enumerate(frames):
                lead = int((state.time - init_time) / timedelta(hours=1)) - FRAME_HOURS * (
                    len(frames) - 1 - i
                )
                if lead <= params.max_lead_hours:
                    writer.write(
                        init_time,
                        lead,
                        world_fields(frame, model.sigma, model.surface_geopotential, regrid),
                    )
    provenance.write_sidecar(output.gfs)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
