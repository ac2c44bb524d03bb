"""Cycling: analyses every six hours from a cold start, and the forecasts that start from them."""


def cycling_checkpoint(wildcards):
    """The networks that an experiment runs with."""
    return f"{RESULTS}/models/{CONFIG.weights_of(wildcards.experiment)}/joint.ckpt"


def cycling_start(wildcards):
    """What a segment's cycle starts from: climatology in the first, the segment before in the others."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    if position == 0:
        return {"climatology": f"{RESULTS}/states/climatology.zarr"}
    return {"carry": f"{RESULTS}/analyses/{wildcards.experiment}/{labels[position - 1]}.carry.pt"}


def cycling_grids(wildcards):
    """Sparse grids of a segment and its neighbours in the cycle: windows reach over a segment's ends."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 2]
    sources = CONFIG.resolve(wildcards.experiment).sources
    return expand(f"{RESULTS}/grids/{{source}}/{{segment}}.zarr", source=sources, segment=near)


def cycling_near_analyses(wildcards):
    """Analyses of a segment and the one before: a forecast starts from two."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 1]
    return expand(f"{RESULTS}/analyses/{wildcards.experiment}/{{segment}}.zarr", segment=near)


def cycling_accelerator(wildcards):
    """Where an experiment's networks run."""
    return CONFIG.resolve(wildcards.experiment).training.accelerator


rule cycling_analyses:
    input:
        unpack(cycling_start),
        checkpoint=cycling_checkpoint,
        grids=cycling_grids,
    output:
        analyses=directory(f"{RESULTS}/analyses/{{experiment}}/{{segment}}.zarr"),
        carry=f"{RESULTS}/analyses/{{experiment}}/{{segment}}.carry.pt",
    params:
        code=code("cycling_analyses"),
        sources=lambda wildcards: CONFIG.resolve(wildcards.experiment).sources,
        dates=lambda wildcards: dates(CONFIG.cycling_period, wildcards.segment),
        accelerator=cycling_accelerator,
        world=WORLD,
        state=f"{STATE}/cycling/{{experiment}}/{{segment}}/analyses",
    log:
        f"{LOGS}/cycling_analyses/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_analyses/{{experiment}}/{{segment}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
        gpu=training_gpus,
    conda:
        "../../envs/cycling.yaml"
    script:
        "../scripts/cycling_analyses.py"


rule cycling_forecasts:
    input:
        checkpoint=cycling_checkpoint,
        analyses=cycling_near_analyses,
    output:
        forecasts=directory(f"{RESULTS}/forecasts/{{experiment}}/{{segment}}.zarr"),
    params:
        code=code("cycling_forecasts"),
        dates=lambda wildcards: dates(CONFIG.periods.test, wildcards.segment),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        batch=CONFIG.cycling.batch,
        accelerator=cycling_accelerator,
        world=WORLD,
        state=f"{STATE}/cycling/{{experiment}}/{{segment}}/forecasts",
    log:
        f"{LOGS}/cycling_forecasts/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_forecasts/{{experiment}}/{{segment}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=training_gpus,
    conda:
        "../../envs/cycling.yaml"
    script:
        "../scripts/cycling_forecasts.py"


rule cycling:
    localrule: True
    input:
        expand(
            f"{RESULTS}/analyses/{{experiment}}/{{segment}}.zarr",
            experiment=CONFIG.experiments,
            segment=CONFIG.segments(CONFIG.cycling_period),
        ),
        expand(
            f"{RESULTS}/forecasts/{{experiment}}/{{segment}}.zarr",
            experiment=CONFIG.experiments,
            segment=CONFIG.segments(CONFIG.periods.test),
        ),
