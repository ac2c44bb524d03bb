"""Stage 3 on the tiny record in one or several processes: what the tests of several ranks compare.

python -m tests.ranks '{"folder": …, "ranks": 2, "strategy": "ddp"}'
"""

import json
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from fuxiflow.config.training import JointStage
from fuxiflow.runtime import distributed
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import parallel, samples, stages
from fuxiflow.training.loop import Run, train
from tests import tiny


def main(settings: dict) -> None:
    """Train for a few updates and leave losses and weights in the folder."""
    folder, ranks = Path(settings["folder"]), settings["ranks"]
    if ranks > 1 and distributed.process_rank() is None:
        tiny.record(folder)
        distributed.launch(ranks, 1)
        return
    torch.set_num_threads(1)
    record = tiny.paths(folder) if ranks > 1 else tiny.record(folder)
    if "resumes" in settings:
        shutil.copytree(Path(settings["resumes"]) / "state", folder / "state")
    (folder / "state").mkdir(exist_ok=True)
    networks = tiny.networks(record)
    stage = JointStage(
        updates=6, batch=4, learning_rate=1e-3, max_lead_hours=12, checkpoint_every=2, ema=0.9
    )
    unrolling = stages.Unrolling(2, 3, 1.0)
    fabric = parallel.make_fabric("cpu", "32-true", settings["strategy"], ranks)
    share = stages.share(fabric, stage)
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    plan = stages.cycle_plan("joint", tiny.times(40)[4:28], stage, unrolling, 0)
    batches = samples.Batches(archive, plan, networks.design.sources, networks.standardise, share)
    objective = stages.Objective(networks, share)
    run = Run(
        fabric,
        networks,
        stage,
        folder / "state",
        folder / "tb",
        "ranks",
        logging.getLogger(),
        memory=objective,
    )

    def loss(batch):
        if run.step == settings.get("killed_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        return objective.cycle(batch, unrolling)

    losses = train(run, lambda a, b: samples.loader(batches, a, b, 0), loss)
    weights = parallel.whole(dict(networks.state_dict()))
    if fabric.is_global_zero:
        torch.save(
            {"losses": torch.tensor(losses["loss"].to_numpy()), "weights": weights},
            folder / "result.pt",
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
