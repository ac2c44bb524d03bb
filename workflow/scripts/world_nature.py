"""Integrate one segment of the nature run and write its truth on the world's grid.

in:  restart  state at 00 UTC of the segment's first day
out: truth    Zarr, all channels 6-hourly, to 00 UTC after the last day (fuxiflow.world.truth)
     native   Zarr, whole model states at the init times of forecasts (fuxiflow.world.nature)
     restart  state at 00 UTC after the last day
"""

from datetime import date, datetime, timedelta
from functools import partial

from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.times import times
from fuxiflow.world.levels import Regridder, world_fields
from fuxiflow.world.nature import STRIDE_HOURS, NatureModel, frame_times, write_model_states
from fuxiflow.world.truth import TruthWriter
from fuxiflow.world.writers.gfs import forecast_init_times


def main(input, output, params, log):
    """Integrate from ``params.dates[0]`` to the end of ``params.dates[1]``."""
    first, last = map(date.fromisoformat, params.dates)
    grid = Grid(**params.grid, poles=True)
    model = NatureModel(params.truncation, params.time_step_minutes, params.cache)
    regrid = Regridder(model.lat, model.lon, grid)
    fields_of = partial(
        world_fields,
        sigma=model.sigma,
        surface_geopotential=model.surface_geopotential,
        regrid=regrid,
    )
    state = model.read(input.restart)
    start = datetime(first.year, first.month, first.day)
    if state.time != start:
        raise ValueError(
            f"{input.restart}: is of {state.time}, the segment starts at {start}: run "
            "world_spinup again"
        )
    static = {
        "land_fraction": regrid(model.land_fraction),
        "surface_geopotential": regrid(model.surface_geopotential),
    }
    gfs_start, test_end = datetime.fromisoformat(params.test[0]), date.fromisoformat(params.test[1])
    init_times = set(forecast_init_times(gfs_start, test_end, params.forecast_interval_hours))
    hours = 24 * ((last - first).days + 1)
    end = start + timedelta(hours=hours)
    forecast_states = [state] if state.time in init_times else []
    with TruthWriter(output.truth, [*times(first, last), end], grid, static) as truth:
        truth.write(state.time, fields_of(state.frame))
        strides = model.advance(state, hours)
        for state, frames in progress(
            strides, "nature run, half days", log, total=hours // STRIDE_HOURS
        ):
            for time, frame in zip(frame_times(state, frames), frames, strict=True):
                truth.write(time, fields_of(frame))
            # the state at the end belongs to the next segment
            if state.time in init_times and state.time < end:
                forecast_states.append(state)
    write_model_states(output.native, forecast_states)
    state.write(output.restart)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
