"""Scores of forecasts and analyses, departures, error maps, and the one score table."""

from fuxiflow.config import simulation


include: "functions/verification.smk"


VERIFICATION_SCORES = f"{RESULTS}/scores"
VERIFICATION_RESAMPLING = {
    "bootstrap": CONFIG.verification.bootstrap,
    "block_days": CONFIG.verification.block_days,
    "seed": CONFIG.seed,
}
# state stores over all valid times: none of what is not compared with, and no truth outside the embedded world
VERIFICATION_STATES = {
    name: expand(
        f"{RESULTS}/states/{name}/{{segment}}.zarr",
        segment=CONFIG.segments(CONFIG.verification_period),
    )
    for name, wanted in {
        "era5": "era5" in CONFIG.verification.references,
        "truth": "truth" in CONFIG.verification.references and CONFIG.kind == "embedded",
        "gfs": "gfs" in CONFIG.verification.baselines,
    }.items()
    if wanted
}
VERIFICATION_FORECASTS = expand(
    f"{RESULTS}/forecasts/{{{{experiment}}}}/{{segment}}.zarr",
    segment=CONFIG.segments(CONFIG.periods.test),
)
VERIFICATION_GFS_FORECASTS = expand(
    f"{RESULTS}/forecasts/gfs/{{segment}}.zarr",
    segment=CONFIG.segments(CONFIG.periods.test) if "gfs" in VERIFICATION_STATES else [],
)
VERIFICATION_ANALYSES = expand(
    f"{RESULTS}/analyses/{{{{experiment}}}}/{{segment}}.zarr",
    segment=CONFIG.segments(CONFIG.cycling_period),
)
VERIFICATION_GFS_STATES = expand(
    f"{RESULTS}/states/gfs/{{segment}}.zarr", segment=CONFIG.segments(CONFIG.verification_period)
)
VERIFICATION_GRIDS = {
    name: expand(
        f"{RESULTS}/grids/{name}/{{segment}}.zarr", segment=CONFIG.segments(CONFIG.cycling_period)
    )
    for name in CONFIG.sources
}
# those whose measurements can be computed from a state
VERIFICATION_OBSERVED = [
    name for name in CONFIG.sources if simulation.has_operator(sources.load_source(name))
]
VERIFICATION_COMPARISONS = CONFIG.comparisons
# twelve double-precision work arrays of one state, on top of what the interpreter, the caches and the cases take
VERIFICATION_MB = 3000 + CONFIG.grid.nlat * CONFIG.grid.nlon * 70 * 8 * 12 // 2**20


rule verification_baselines:
    input:
        era5=VERIFICATION_STATES.get("era5", []),
        truth=VERIFICATION_STATES.get("truth", []),
        gfs=VERIFICATION_STATES.get("gfs", []),
        forecasts=VERIFICATION_GFS_FORECASTS,
        climatology=f"{RESULTS}/states/climatology.zarr",
    output:
        scores=f"{VERIFICATION_SCORES}/baselines.parquet",
        cases=directory(f"{VERIFICATION_SCORES}/baselines.zarr"),
    log:
        f"{LOGS}/verification_baselines/all.log",
    benchmark:
        f"{BENCHMARKS}/verification_baselines/all.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(VERIFICATION_MB),
        runtime=240,
    params:
        **VERIFICATION_RESAMPLING,
        code=code("verification_baselines"),
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        regions=CONFIG.verification.regions,
        baselines=CONFIG.verification.baselines,
        own="own" in CONFIG.verification.references,
        world=WORLD,
    script:
        "../scripts/verification_baselines.py"


rule verification_forecasts:
    input:
        forecasts=VERIFICATION_FORECASTS,
        analyses=verification_initial,
        era5=VERIFICATION_STATES.get("era5", []),
        truth=VERIFICATION_STATES.get("truth", []),
        climatology=f"{RESULTS}/states/climatology.zarr",
        baselines=f"{VERIFICATION_SCORES}/baselines.zarr",
    output:
        scores=f"{VERIFICATION_SCORES}/{{experiment}}/forecasts.parquet",
        cases=directory(f"{VERIFICATION_SCORES}/{{experiment}}/forecasts.cases.zarr"),
    log:
        f"{LOGS}/verification_forecasts/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/verification_forecasts/{{experiment}}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(VERIFICATION_MB),
        runtime=480,
    params:
        **VERIFICATION_RESAMPLING,
        code=code("verification_forecasts"),
        experiment="{experiment}",
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        regions=CONFIG.verification.regions,
        baselines=CONFIG.verification.baselines,
        array=verification_initial_array,
        own="own" in CONFIG.verification.references,
        world=WORLD,
    script:
        "../scripts/verification_forecasts.py"


rule verification_maps:
    input:
        forecasts=VERIFICATION_FORECASTS,
        era5=VERIFICATION_STATES.get("era5", []),
        truth=VERIFICATION_STATES.get("truth", []),
        climatology=f"{RESULTS}/states/climatology.zarr",
    output:
        maps=directory(f"{VERIFICATION_SCORES}/{{experiment}}/maps.zarr"),
    log:
        f"{LOGS}/verification_maps/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/verification_maps/{{experiment}}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(VERIFICATION_MB),
        runtime=240,
    params:
        code=code("verification_maps"),
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        map_leads=CONFIG.figures.map_leads,
        map_channels=CONFIG.figures.map_channels,
        world=WORLD,
    script:
        "../scripts/verification_maps.py"


rule verification_analyses:
    input:
        analyses=VERIFICATION_ANALYSES,
        era5=VERIFICATION_STATES.get("era5", []),
        truth=VERIFICATION_STATES.get("truth", []),
        climatology=f"{RESULTS}/states/climatology.zarr",
        baselines=f"{VERIFICATION_SCORES}/baselines.zarr",
        grids=lambda wildcards: sum(
            (VERIFICATION_GRIDS[s] for s in CONFIG.resolve(wildcards.experiment).sources), []
        ),
    output:
        scores=f"{VERIFICATION_SCORES}/{{experiment}}/analyses.parquet",
        cycle=f"{VERIFICATION_SCORES}/{{experiment}}/cycle.parquet",
        observations=f"{VERIFICATION_SCORES}/{{experiment}}/observations.parquet",
        cases=directory(f"{VERIFICATION_SCORES}/{{experiment}}/analyses.cases.zarr"),
    log:
        f"{LOGS}/verification_analyses/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/verification_analyses/{{experiment}}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(VERIFICATION_MB),
        runtime=240,
    params:
        **VERIFICATION_RESAMPLING,
        code=code("verification_analyses"),
        experiment="{experiment}",
        period=dates(CONFIG.periods.test),
        cycle=dates(CONFIG.cycling_period),
        windows=lambda wildcards: windows(wildcards.experiment),
        regions=CONFIG.verification.regions,
        world=WORLD,
    script:
        "../scripts/verification_analyses.py"


rule verification_departures:
    input:
        analyses=VERIFICATION_ANALYSES,
        grids=sum((VERIFICATION_GRIDS[name] for name in VERIFICATION_OBSERVED), []),
        statistics=f"{RESULTS}/states/statistics.zarr",
    output:
        scores=f"{VERIFICATION_SCORES}/{{experiment}}/departures.parquet",
    log:
        f"{LOGS}/verification_departures/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/verification_departures/{{experiment}}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        **VERIFICATION_RESAMPLING,
        code=code("verification_departures"),
        experiment="{experiment}",
        sources=VERIFICATION_OBSERVED,
        instruments=[sources.load_source(name).instrument for name in VERIFICATION_OBSERVED],
        period=dates(CONFIG.periods.test),
        regions=CONFIG.verification.regions,
        world=WORLD,
    script:
        "../scripts/verification_departures.py"


rule verification_comparisons:
    input:
        own=lambda wildcards: verification_cases(wildcards.experiment),
        others=lambda wildcards: sum(
            (
                verification_cases(wildcards.experiment, other)
                for other in VERIFICATION_COMPARISONS[wildcards.experiment]
            ),
            [],
        ),
    output:
        scores=f"{VERIFICATION_SCORES}/{{experiment}}/comparisons.parquet",
    log:
        f"{LOGS}/verification_comparisons/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/verification_comparisons/{{experiment}}.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(VERIFICATION_MB),
        runtime=60,
    params:
        **VERIFICATION_RESAMPLING,
        code=code("verification_comparisons"),
        experiment="{experiment}",
        world=WORLD,
    script:
        "../scripts/verification_comparisons.py"


rule verification_scores:
    input:
        scores=[
            f"{VERIFICATION_SCORES}/baselines.parquet",
            *expand(
                f"{VERIFICATION_SCORES}/{{experiment}}/{{kind}}.parquet",
                experiment=CONFIG.cycled_experiments,
                kind=["analyses", "departures"],
            ),
            *expand(
                f"{VERIFICATION_SCORES}/{{experiment}}/forecasts.parquet",
                experiment=CONFIG.forecasting_experiments,
            ),
            *expand(
                f"{VERIFICATION_SCORES}/{{experiment}}/comparisons.parquet",
                experiment=VERIFICATION_COMPARISONS,
            ),
        ],
    output:
        scores=f"{VERIFICATION_SCORES}/scores.parquet",
    log:
        f"{LOGS}/verification_scores/all.log",
    benchmark:
        f"{BENCHMARKS}/verification_scores/all.tsv"
    conda:
        "../../envs/verification.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=30,
    params:
        code=code("verification_scores"),
        world=WORLD,
    script:
        "../scripts/verification_scores.py"


rule verification:
    input:
        rules.verification_scores.output,
        expand(rules.verification_maps.output.maps, experiment=CONFIG.forecasting_experiments),
        expand(rules.verification_analyses.output.cycle, experiment=CONFIG.cycled_experiments),
        expand(
            rules.verification_analyses.output.observations, experiment=CONFIG.cycled_experiments
        ),
    localrule: True
