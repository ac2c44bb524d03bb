"""Stage 3 on the tiny record in one or several processes: what the tests of several ranks compare.

python -m tests.support.ranks '{"folder": …, "ranks": 2, "strategy": "ddp"}'
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
from fuxiflow.training import parallel, plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.stage_run import TrainingRun
from fuxiflow.training.trainer import Trainer
from tests.support import tiny


def main(settings: dict) -> None:
    """Train for a few updates and leave losses and weights in the folder."""
    folder, ranks = Path(settings["folder"]), settings["ranks"]
    if "resumes" in settings and distributed.process_rank() is None:
        shutil.copytree(Path(settings["resumes"]) / "state", folder / "state")
    if ranks > 1 and distributed.process_rank() is None:
        tiny.record(folder)
        distributed.launch(ranks, 1)
        return
    torch.set_num_threads(1)
    record = tiny.paths(folder) if ranks > 1 else tiny.record(folder)
    (folder / "state").mkdir(exist_ok=True)
    networks = tiny.networks(record)
    stage = JointStage(
        updates=6, batch=4, learning_rate=1e-3, max_lead_hours=12, checkpoint_every=2, ema=0.9
    )
    unrolling = plans.Unrolling(2, 3, 1.0)
    devices = DeviceOptions("cpu", "32-true", settings["strategy"], ranks)
    fabric = parallel.make_fabric(devices)
    log = logging.getLogger()
    run = TrainingRun("ranks", fabric, folder / "state", folder / "tb", log)
    trainer = Trainer(networks, stage, run)
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    plan = plans.cycle_plan("joint", tiny.times(40)[4:28], stage, unrolling, 0)
    sources = networks.design.sources
    batches = samples.Batches(archive, plan, sources, networks.standardise, trainer.share)
    objective = CycleObjective(networks, unrolling, trainer.share)
    real = objective.loss

    def loss(*arguments):
        if trainer.step == settings.get("killed_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    objective.loss = loss
    losses = trainer.train(objective, lambda a, b: samples.load_batches(batches, a, b, 0))
    weights = parallel.whole_tensors(dict(networks.state_dict()))
    if fabric.is_global_zero:
        torch.save(
            {"losses": torch.tensor(losses["loss"].to_numpy()), "weights": weights},
            folder / "result.pt",
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
