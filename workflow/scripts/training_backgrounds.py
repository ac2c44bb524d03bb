"""Make a segment of the bank of backgrounds that stage 2 draws from.

They are forecasts of random lead by the forecaster of stage 1.

in:  forecaster   checkpoint of stage 1
     states       Zarr, reanalysis of the segment and the days before (fuxiflow.states.store)
out: backgrounds  Zarr, arrays background and previous, the state 6 h before it
"""

import shutil

import numpy as np

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint
from fuxiflow.models.execution import select_device
from fuxiflow.models.networks import STEP
from fuxiflow.progress import Progress
from fuxiflow.states.store import StateSeries, StateWriter
from fuxiflow.storage.files import workspace
from fuxiflow.training import bank


def main(input, output, params, log):
    networks = checkpoint.load_checkpoint(
        input.forecaster, select_device(params.accelerator)
    ).networks.eval()
    states = StateSeries(input.states)
    valid = bank.background_times(*times.span(*params.dates), params.every_hours)
    stored = set(states.times[states.times >= np.datetime64(params.reach)])
    channels = channel_table().select(networks.design.channels).analysed
    state = workspace(params.state)
    store = state / "backgrounds.zarr"
    report = Progress(len(valid), "backgrounds", log)
    grid = Grid(*networks.design.grid)
    options = {"resume": True, "compression": params.compression}
    with StateWriter(store, valid, channels, grid, ("background", "previous"), **options) as writer:
        index = {time: i for i, time in enumerate(valid)}
        for group, steps in bank.forecast_groups(
            valid, params.batch, params.max_lead_hours, params.seed
        ):
            begun = {time: {time - steps * STEP, time - (steps + 1) * STEP} for time in group}
            todo = np.array([t for t in group if begun[t] <= stored and not writer.done(index[t])])
            for time in [t for t in group if not begun[t] <= stored]:
                log.warning("no background of %s: no reanalysis %d h before", time, 6 * steps)
                for name in ("previous", "background"):
                    writer.write(index[time], None, name)
            if len(todo):
                made = bank.forecast_backgrounds(networks, states, todo, steps)
                for time, (previous, background) in zip(todo, made, strict=True):
                    writer.write(index[time], previous, "previous")
                    writer.write(index[time], background, "background")
            for _ in group:
                report.step(f"{6 * steps} h")
    shutil.move(store, output.backgrounds)
    shutil.rmtree(state)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
