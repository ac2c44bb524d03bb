"""Stage 4: train the forecaster alone on long forecasts; forecasts are then made with it.

in:  joint       checkpoint of stage 3
     states      Zarr, reanalysis of the training period (fuxiflow.states.store)
out: checkpoint  networks whose forecaster is trained on many steps
     losses      Parquet, one row an update
"""

from fuxiflow import times
from fuxiflow.config.training import AutoregressiveStage
from fuxiflow.models import checkpoint
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.rollouts import fit_rollouts
from fuxiflow.training.samples import Archive
from fuxiflow.training.stage_run import open_run, training_identity


def main(input, output, params, log):
    stage = AutoregressiveStage(**params.stage, **vars(params.saving))
    before = checkpoint.load_checkpoint(input.joint)
    devices = DeviceOptions(**params.options)
    run = open_run(
        "autoregressive",
        devices,
        params.state,
        params.tensorboard,
        params.seed,
        log,
        training_identity(vars(params)),
    )
    archive = Archive(input.states, {})
    trained = fit_rollouts(before.networks, stage, archive, times.span(*params.dates), run)
    trained.write(output.checkpoint, output.losses, before.history)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
