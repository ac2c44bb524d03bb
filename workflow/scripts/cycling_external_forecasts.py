"""Forecast with another forecaster than the cycle's, or from other analyses, for one segment.

in:  checkpoint  trained networks, or instead of them
     onnx        ONNX models of FuXi's interface, in the order of their use
                 (fuxiflow.models.forecasters)
     analyses    Zarr, analyses of this segment and the one before (fuxiflow.states.store), or
                 instead of them
     gfs         directories of GFS GRIB2 files of these segments
out: forecasts   Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
"""

import shutil

from fuxiflow import times
from fuxiflow.completeness import IncompleteError
from fuxiflow.cycling.forecasts import (
    TrainedForecaster,
    check_forecasts,
    gfs_states,
    initial_times,
    stored_states,
    write_forecasts,
)
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.execution import select_device
from fuxiflow.models.forecasters import OnnxCascade
from fuxiflow.models.networks import STEP
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.storage.files import workspace


def main(input, output, params, log):
    onnx, gfs = getattr(input, "onnx", None), getattr(input, "gfs", None)
    if onnx:
        model = OnnxCascade(onnx, params.steps, params.accelerator, params.threads)
    else:
        networks = checkpoint.load_checkpoint(
            input.checkpoint, select_device(params.accelerator), drawn=False
        ).networks.eval()
        model = TrainedForecaster(execution.prepare(networks, **params.execution))
    inits = initial_times(*times.span(*params.dates), params.init_hours)
    leads = list(range(times.STEP_HOURS, params.max_lead_hours + 1, times.STEP_HOURS))
    state = workspace(params.state)
    ledger = Ledger()
    store = state / "forecasts.zarr"
    attrs = {"system": "onnx" if onnx else "networks", "initial": params.initial}
    grid = Grid(**params.grid)
    with ForecastWriter(
        store, inits, leads, model.channels, grid, attrs, resume=True, kept=params.kept
    ) as writer:
        todo = [t for i, t in enumerate(inits) if not writer.done(i)]
        if gfs:
            needed = [t - lag for t in todo for lag in (0 * STEP, STEP)]
            read = gfs_states(gfs, model, needed, ledger)
        else:
            read = stored_states(input.analyses, model)
        made = write_forecasts(model, read, writer, params.batch, log)
    for row in ledger.rows[:20]:
        log.warning("%(file)s message %(message)s, %(time)s %(channel)s: %(reason)s", row)
    log.info("%d of %d forecasts made; initial states: %s", made, len(todo), ledger.summary())
    try:
        check_forecasts(Forecasts([store]), inits, params.completeness, params.initial, log)
    except IncompleteError:
        # what is missing may be there the next time
        shutil.rmtree(state)
        raise
    shutil.move(store, output.forecasts)
    shutil.rmtree(state)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
