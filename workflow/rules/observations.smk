"""Level-1 files to footprint tables, quality control with a ledger, and sparse hourly grids."""


include: "functions/observations.smk"


OBSERVATIONS = f"{RESULTS}/observations"
GRIDS = f"{RESULTS}/grids"
TRAINING_OBSERVED = CONFIG.segments(CONFIG.periods.observations)
# a segment lies in one of the two periods
OBSERVED_DATES = {
    segment: dates(period, segment)
    for period in (CONFIG.periods.observations, CONFIG.cycling_period)
    for segment in CONFIG.segments(period)
}


rule observations_read:
    input:
        files=f"{RAW}/{{source}}/{{segment}}",
    output:
        table=f"{OBSERVATIONS}/{{source}}/read/{{segment}}.parquet",
        ledger=f"{OBSERVATIONS}/{{source}}/read/ledger/{{segment}}.parquet",
    log:
        f"{LOGS}/observations_read/{{source}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/observations_read/{{source}}/{{segment}}.tsv"
    conda:
        "../../envs/observations.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
    params:
        code=code("observations_read"),
        source="{source}",
        reader=lambda wildcards: sources.load_source(wildcards.source).reader,
        reader_code=observations_reader_code,
        file_pattern=lambda wildcards: sources.load_source(wildcards.source).file_pattern,
        platforms=lambda wildcards: sources.load_source(wildcards.source).platform_names,
        channels=lambda wildcards: sources.load_source(wildcards.source).channel_names,
        dates=lambda wildcards: OBSERVED_DATES[wildcards.segment],
        world=WORLD,
    script:
        "../scripts/observations_read.py"


rule observations_limits:
    input:
        tables=expand(
            f"{OBSERVATIONS}/{{{{source}}}}/read/{{segment}}.parquet", segment=TRAINING_OBSERVED
        ),
    output:
        limits=f"{OBSERVATIONS}/{{source}}/limits.parquet",
    log:
        f"{LOGS}/observations_limits/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/observations_limits/{{source}}.tsv"
    conda:
        "../../envs/observations.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=60,
    params:
        code=code("observations_limits"),
        channels=lambda wildcards: sources.load_source(wildcards.source).channel_names,
        ranges=lambda wildcards: sources.load_source(wildcards.source).valid_ranges,
        logarithmic=lambda wildcards: sources.load_source(wildcards.source).logarithmic,
        dates=dates(CONFIG.periods.observations),
        world=WORLD,
    script:
        "../scripts/observations_limits.py"


rule observations_quality:
    input:
        table=rules.observations_read.output.table,
        ledger=rules.observations_read.output.ledger,
        limits=rules.observations_limits.output.limits,
    output:
        table=f"{OBSERVATIONS}/{{source}}/{{segment}}.parquet",
        ledger=f"{OBSERVATIONS}/{{source}}/ledger/{{segment}}.parquet",
    log:
        f"{LOGS}/observations_quality/{{source}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/observations_quality/{{source}}/{{segment}}.tsv"
    conda:
        "../../envs/observations.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=code("observations_quality"),
        source="{source}",
        ranges=lambda wildcards: sources.load_source(wildcards.source).valid_ranges,
        max_z=lambda wildcards: sources.load_source(wildcards.source).max_z,
        max_speed=lambda wildcards: sources.load_source(wildcards.source).max_speed,
        dates=lambda wildcards: OBSERVED_DATES[wildcards.segment],
        world=WORLD,
    script:
        "../scripts/observations_quality.py"


rule observations_grid:
    input:
        table=rules.observations_quality.output.table,
    output:
        grid=directory(f"{GRIDS}/{{source}}/{{segment}}.zarr"),
    log:
        f"{LOGS}/observations_grid/{{source}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/observations_grid/{{source}}/{{segment}}.tsv"
    conda:
        "../../envs/observations.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=code("observations_grid"),
        source="{source}",
        units=lambda wildcards: sources.load_source(wildcards.source).units,
        options=observations_grid_options,
        seed=CONFIG.seed,
        grid=grid(),
        dates=lambda wildcards: OBSERVED_DATES[wildcards.segment],
        world=WORLD,
    script:
        "../scripts/observations_grid.py"


rule observations_statistics:
    input:
        grids=expand(f"{GRIDS}/{{{{source}}}}/{{segment}}.zarr", segment=TRAINING_OBSERVED),
    output:
        statistics=directory(f"{GRIDS}/{{source}}/statistics.zarr"),
    log:
        f"{LOGS}/observations_statistics/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/observations_statistics/{{source}}.tsv"
    conda:
        "../../envs/observations.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=60,
    params:
        code=code("observations_statistics"),
        dates=dates(CONFIG.periods.observations),
        world=WORLD,
    script:
        "../scripts/observations_statistics.py"


rule observations:
    input:
        grids=expand(
            rules.observations_grid.output.grid, source=CONFIG.sources, segment=OBSERVED_DATES
        ),
        statistics=expand(rules.observations_statistics.output.statistics, source=CONFIG.sources),
    localrule: True
