"""Forecast from an experiment's own analyses, for the initial times of one segment.

in:  checkpoint  trained networks
     analyses    Zarr, analyses of this segment and the one before (fuxiflow.states.store)
out: forecasts   Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
"""

import shutil

import numpy as np

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_share, list_times
from fuxiflow.cycling.forecasts import forecast, initial_times, write_leads
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.execution import select_device
from fuxiflow.models.networks import STEP
from fuxiflow.progress import Progress
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.files import workspace


def main(input, output, params, log):
    networks = checkpoint.load_checkpoint(
        input.checkpoint, select_device(params.accelerator), drawn=False
    ).networks.eval()
    execution.prepare(networks, **params.execution)
    analyses = StateSeries(input.analyses, name="analysis")
    inits = initial_times(*times.span(*params.dates), params.init_hours)
    leads = list(range(times.STEP_HOURS, params.max_lead_hours + 1, times.STEP_HOURS))
    lacking = [t for t in inits if t not in analyses or t - STEP not in analyses]
    check_share(
        params.completeness,
        len(inits) - len(lacking),
        len(inits),
        "forecasts have the two analyses that they start from",
        f"forecasts from {list_times(lacking)}",
        log,
    )
    state = workspace(params.state)
    channels = channel_table().select(networks.design.channels)
    store = state / "forecasts.zarr"
    grid = Grid(*networks.design.grid)
    with ForecastWriter(
        store, inits, leads, channels, grid, resume=True, kept=params.kept
    ) as writer:
        todo = [i for i in range(len(inits)) if not writer.done(i)]
        report = Progress(len(inits), "forecasts", log, done=len(inits) - len(todo))
        for i in [i for i in todo if inits[i] in lacking]:
            todo.remove(i)
            report.step()
            for lead in range(len(leads)):
                writer.write(i, lead, None)
        for group in np.array_split(todo, range(params.batch, len(todo), params.batch)):
            starts = np.array([inits[i] for i in group])
            previous, current = analyses.read_many(starts - STEP), analyses.read_many(starts)
            write_leads(writer, group, forecast(networks, previous, current, starts, len(leads)))
            for _ in group:
                report.step()
    shutil.move(store, output.forecasts)
    shutil.rmtree(state)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
