"""Training: the forecaster, the assimilator on its forecasts, and both by recursive unrolling."""

from datetime import timedelta

from fuxiflow.config import Period


def training_gpus(wildcards):
    """One GPU, unless the configuration says that the experiment trains on the processor."""
    return 0 if CONFIG.resolve(wildcards.experiment).training.accelerator == "cpu" else 1


def training_options(wildcards):
    """The options of an experiment's training that all stages share."""
    training = CONFIG.resolve(wildcards.experiment).training
    return {"accelerator": training.accelerator, "precision": training.precision, "workers": training.workers}


def training_stage(stage):
    """The settings of one stage of an experiment, as plain values."""
    return lambda wildcards: getattr(CONFIG.resolve(wildcards.experiment).training, stage).model_dump(mode="json")


def training_model(wildcards):
    """The sizes of an experiment's networks."""
    return CONFIG.resolve(wildcards.experiment).model.model_dump(mode="json")


def training_lead_days(wildcards):
    """Days before the observation period that the longest background starts from."""
    training = CONFIG.resolve(wildcards.experiment).training
    return max(training.assimilator.max_lead_hours, training.joint.max_lead_hours) // 24 + 1


def training_states(wildcards):
    """Reanalysis segments that assimilation is learnt from: the observation period and the days before it."""
    days = timedelta(days=training_lead_days(wildcards))
    start = max(CONFIG.periods.observations.start - days, CONFIG.periods.training.start)
    labels = CONFIG.segments(Period(start=start, end=CONFIG.periods.observations.end))
    return expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=labels)


def training_dates(wildcards):
    """The days that stages 2 and 3 may use."""
    days = timedelta(days=training_lead_days(wildcards))
    start = max(CONFIG.periods.observations.start - days, CONFIG.periods.training.start)
    return [str(start), str(CONFIG.periods.observations.end)]


def training_grids(wildcards):
    """Sparse grids of the observation period, of every source of an experiment."""
    return expand(
        f"{RESULTS}/grids/{{source}}/{{segment}}.zarr",
        source=CONFIG.resolve(wildcards.experiment).sources,
        segment=CONFIG.segments(CONFIG.periods.observations),
    )


def training_grid_statistics(wildcards):
    """Statistics of the sparse grids of every source of an experiment."""
    return expand(f"{RESULTS}/grids/{{source}}/statistics.zarr", source=CONFIG.resolve(wildcards.experiment).sources)


rule training_forecaster:
    input:
        states=expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=CONFIG.segments(CONFIG.periods.training)),
        statistics=f"{RESULTS}/states/statistics.zarr",
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/forecaster.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/forecaster.losses.parquet",
    params:
        code=code("training_forecaster"),
        stage=training_stage("forecaster"),
        options=training_options,
        model=training_model,
        grid=grid(),
        dates=dates(CONFIG.periods.training),
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/forecaster",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/forecaster",
    log:
        f"{LOGS}/training_forecaster/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_forecaster/{{experiment}}.tsv"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=training_gpus,
    conda:
        "../../envs/training.yaml"
    script:
        "../scripts/training_forecaster.py"


rule training_assimilator:
    input:
        forecaster=f"{RESULTS}/models/{{experiment}}/forecaster.ckpt",
        states=training_states,
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=training_grids,
        grid_statistics=training_grid_statistics,
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/assimilator.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/assimilator.losses.parquet",
    params:
        code=code("training_assimilator"),
        stage=training_stage("assimilator"),
        options=training_options,
        model=training_model,
        sources=lambda wildcards: CONFIG.resolve(wildcards.experiment).sources,
        dates=training_dates,
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/assimilator",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/assimilator",
    log:
        f"{LOGS}/training_assimilator/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_assimilator/{{experiment}}.tsv"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=training_gpus,
    conda:
        "../../envs/training.yaml"
    script:
        "../scripts/training_assimilator.py"


rule training_joint:
    input:
        assimilator=f"{RESULTS}/models/{{experiment}}/assimilator.ckpt",
        states=training_states,
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=training_grids,
    output:
        checkpoint=f"{RESULTS}/models/{{experiment}}/joint.ckpt",
        losses=f"{RESULTS}/models/{{experiment}}/joint.losses.parquet",
    params:
        code=code("training_joint"),
        stage=training_stage("joint"),
        options=training_options,
        dates=training_dates,
        seed=CONFIG.seed,
        world=WORLD,
        state=f"{STATE}/training/{{experiment}}/joint",
        tensorboard=f"{LOGS}/tensorboard/{{experiment}}/joint",
    log:
        f"{LOGS}/training_joint/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/training_joint/{{experiment}}.tsv"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=training_gpus,
    conda:
        "../../envs/training.yaml"
    script:
        "../scripts/training_joint.py"


rule training:
    localrule: True
    input:
        expand(f"{RESULTS}/models/{{experiment}}/joint.ckpt", experiment=CONFIG.trained_experiments),
