"""Cycling: analyses every six hours from a cold start, and the forecasts that start from them."""


include: "functions/cycling.smk"


# how the networks run: arguments of fuxiflow.models.execution.prepare
CYCLING_EXECUTION = {"precision": CONFIG.cycling.precision, "compiled": CONFIG.cycling.compile}
CYCLING_OWN_FORECASTS = sorted({*CONFIG.forecasting_experiments} - {*CONFIG.external_experiments})


rule cycling_analyses:
    input:
        unpack(cycling_start),
        checkpoint=cycling_checkpoint,
        climatology=f"{RESULTS}/states/climatology.zarr",
        grids=cycling_grids,
    output:
        analyses=directory(f"{RESULTS}/analyses/{{experiment}}/{{segment}}.zarr"),
        carry=f"{RESULTS}/analyses/{{experiment}}/{{segment}}.carry.pt",
    log:
        f"{LOGS}/cycling_analyses/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_analyses/{{experiment}}/{{segment}}.tsv"
    conda:
        "../../envs/cycling.yaml"
    threads: 1
    resources:
        mem_mb=memory(cycling_mb(3000, 20)),
        runtime=240,
        gpu=training_gpu,
    params:
        code=code("cycling_analyses"),
        sources=lambda wildcards: CONFIG.resolve(wildcards.experiment).sources,
        dates=lambda wildcards: dates(CONFIG.cycling_period, wildcards.segment),
        accelerator=cycling_accelerator,
        execution=CYCLING_EXECUTION,
        world=WORLD,
        state=f"{STATE}/cycling/{{experiment}}/{{segment}}/analyses",
    script:
        "../scripts/cycling_analyses.py"


rule cycling_response:
    input:
        checkpoint=cycling_case_checkpoint,
        analyses=cycling_case_analyses,
        climatology=f"{RESULTS}/states/climatology.zarr",
        statistics=f"{RESULTS}/states/statistics.zarr",
        grids=cycling_case_grids,
    output:
        response=directory(f"{RESULTS}/analyses/{{experiment}}/response.zarr"),
    log:
        f"{LOGS}/cycling_response/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_response/{{experiment}}.tsv"
    conda:
        "../../envs/cycling.yaml"
    threads: 1
    resources:
        mem_mb=memory(cycling_mb(3000, 20)),
        runtime=60,
        gpu=training_gpu,
    params:
        code=code("cycling_response"),
        sources=lambda wildcards: CONFIG.resolve(wildcards.experiment).sources,
        case=CONFIG.case.isoformat(),
        source=lambda wildcards: CONFIG.perturbation.source,
        channel=lambda wildcards: CONFIG.perturbation.channel,
        kelvin=lambda wildcards: CONFIG.perturbation.kelvin,
        places=lambda wildcards: CONFIG.perturbation.places,
        seed=CONFIG.seed,
        accelerator=cycling_accelerator,
        execution=CYCLING_EXECUTION,
        world=WORLD,
    script:
        "../scripts/cycling_response.py"


rule cycling_forecasts:
    input:
        checkpoint=cycling_forecast_checkpoint,
        analyses=cycling_near_analyses,
    output:
        forecasts=directory(f"{RESULTS}/forecasts/{{experiment}}/{{segment}}.zarr"),
    log:
        f"{LOGS}/cycling_forecasts/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_forecasts/{{experiment}}/{{segment}}.tsv"
    wildcard_constraints:
        experiment="|".join(CYCLING_OWN_FORECASTS) or "none",
    conda:
        "../../envs/cycling.yaml"
    threads: 1
    resources:
        mem_mb=memory(cycling_mb(4000, 6 * CONFIG.cycling.batch)),
        runtime=240,
        gpu=training_gpu,
    params:
        code=code("cycling_forecasts"),
        dates=lambda wildcards: dates(CONFIG.periods.test, wildcards.segment),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        batch=CONFIG.cycling.batch,
        accelerator=cycling_accelerator,
        execution=CYCLING_EXECUTION,
        world=WORLD,
        state=f"{STATE}/cycling/{{experiment}}/{{segment}}/forecasts",
    script:
        "../scripts/cycling_forecasts.py"


rule cycling_external_forecasts:
    input:
        unpack(cycling_forecaster),
        unpack(cycling_initial),
    output:
        forecasts=directory(f"{RESULTS}/forecasts/{{experiment}}/{{segment}}.zarr"),
    log:
        f"{LOGS}/cycling_external_forecasts/{{experiment}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/cycling_external_forecasts/{{experiment}}/{{segment}}.tsv"
    wildcard_constraints:
        experiment="|".join(CONFIG.external_experiments) or "none",
    conda:
        "../../envs/cycling.yaml"
    threads: 2
    resources:
        mem_mb=memory(cycling_external_mb),
        runtime=1440,
        gpu=training_gpu,
    params:
        code=code("cycling_external_forecasts"),
        grid=grid(),
        dates=lambda wildcards: dates(CONFIG.periods.test, wildcards.segment),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        batch=CONFIG.cycling.batch,
        initial=cycling_initial_name,
        steps=cycling_cascade_steps,
        accelerator=cycling_accelerator,
        execution=CYCLING_EXECUTION,
        world=WORLD,
        state=f"{STATE}/cycling/{{experiment}}/{{segment}}/forecasts",
    script:
        "../scripts/cycling_external_forecasts.py"


rule cycling:
    input:
        expand(
            f"{RESULTS}/analyses/{{experiment}}/{{segment}}.zarr",
            experiment=CONFIG.cycled_experiments,
            segment=CONFIG.segments(CONFIG.cycling_period),
        ),
        expand(
            f"{RESULTS}/forecasts/{{experiment}}/{{segment}}.zarr",
            experiment=CONFIG.forecasting_experiments,
            segment=CONFIG.segments(CONFIG.periods.test),
        ),
    localrule: True
