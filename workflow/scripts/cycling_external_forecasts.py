"""Forecasts of another forecaster than the cycle's, or from other analyses, for the initial times of one segment.

in:  checkpoint  trained networks, or instead of them
     onnx        ONNX models of FuXi's interface, in the order of their use (fuxiflow.models.forecasters)
     analyses    Zarr, analyses of this segment and the one before (fuxiflow.states.store), or instead of them
     gfs         directories of GFS GRIB2 files of these segments
out: forecasts   Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
"""

import shutil

import numpy as np
import torch

from fuxiflow import times
from fuxiflow.cycling.forecasts import TrainedForecaster, gfs_states, stored_states, write_forecasts
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.execution import select_device
from fuxiflow.models.forecasters import OnnxCascade
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.storage.restart_state import workspace


def main(input, output, params, log):
    if hasattr(input, "onnx"):
        model = OnnxCascade(input.onnx, params.steps, params.accelerator, torch.get_num_threads())
    else:
        networks = checkpoint.load_checkpoint(
            input.checkpoint, select_device(params.accelerator), drawn=False
        ).networks.eval()
        model = TrainedForecaster(execution.prepare(networks, **params.execution))
    step = np.timedelta64(times.STEP_HOURS, "h")
    first, last = times.span(*params.dates)
    inits = [
        t
        for t in np.arange(first, last + step, step)
        if (t.astype("datetime64[h]").astype(int) % 24) in params.init_hours
    ]
    leads = list(range(times.STEP_HOURS, params.max_lead_hours + 1, times.STEP_HOURS))
    state, ledger = workspace(params.state), Ledger()
    store = state / "forecasts.zarr"
    attrs = {"system": "onnx" if hasattr(input, "onnx") else "networks", "initial": params.initial}
    with ForecastWriter(
        store, inits, leads, model.channels, Grid(**params.grid), attrs, resume=True
    ) as writer:
        todo = [t for i, t in enumerate(inits) if not writer.done(i)]
        if hasattr(input, "gfs"):
            read = gfs_states(
                input.gfs, model, [t - lag for t in todo for lag in (0 * step, step)], ledger
            )
        else:
            read = stored_states(input.analyses, model)
        made = write_forecasts(model, read, writer, params.batch, log)
    for row in ledger.rows[:20]:
        log.warning("%(file)s message %(message)s, %(time)s %(channel)s: %(reason)s", row)
    log.info("%d of %d forecasts made; initial states: %s", made, len(todo), ledger.summary())
    found = Forecasts([store])
    if not any(found.available(init, leads[0]) for init in inits):
        shutil.rmtree(state)
        raise ValueError(
            f"no forecast between {params.dates[0]} and {params.dates[1]}: no initial state is usable"
        )
    shutil.move(store, output.forecasts)
    shutil.rmtree(state)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
