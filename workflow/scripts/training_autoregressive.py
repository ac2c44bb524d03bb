"""Stage 4: train the forecaster alone on long forecasts; forecasts are then made with it.

in:  joint       checkpoint of stage 3
     states      Zarr, reanalysis of the training period (fuxiflow.states.store)
out: checkpoint  networks whose forecaster is trained on many steps
     losses      Parquet, one row an update
"""

from fuxiflow.config.training import AutoregressiveStage
from fuxiflow.models import checkpoint
from fuxiflow.training import rollouts


def main(input, output, params, log):
    before = checkpoint.load_checkpoint(input.joint)
    stage = AutoregressiveStage(**params.stage)
    rollouts.fit(
        "autoregressive", before.networks, before.history, stage, input, output, params, log
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
