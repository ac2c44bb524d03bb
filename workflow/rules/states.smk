"""States: GRIB to stores on the networks' grid, the statistics and the climatology of the training period."""

TRAINING_SEGMENTS = CONFIG.segments(CONFIG.periods.training)
VERIFICATION_SEGMENTS = CONFIG.segments(CONFIG.verification_period)
TEST_SEGMENTS = CONFIG.segments(CONFIG.periods.test)


def needed(segment):
    """First and last day of a segment that some rule reads: of training, or of verification."""
    training = segment in TRAINING_SEGMENTS
    return dates(CONFIG.periods.training if training else CONFIG.verification_period, segment)


def raw(path):
    """A raw input: downloads are compared by being there alone."""
    return path if CONFIG.kind == "embedded" else ancient(path)


rule states_decode:
    input:
        raw=raw(f"{RAW}/{{reference}}/{{segment}}"),
    output:
        states=directory(f"{RESULTS}/states/{{reference}}/{{segment}}.zarr"),
        ledger=f"{RESULTS}/states/{{reference}}/ledger/{{segment}}.parquet",
    wildcard_constraints:
        reference="era5|gfs",
    params:
        code=code("states_decode"),
        reference="{reference}",
        grid=grid(),
        dates=lambda wildcards: needed(wildcards.segment),
    log:
        f"{LOGS}/states_decode/{{reference}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_decode/{{reference}}/{{segment}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    conda:
        "../../envs/states.yaml"
    script:
        "../scripts/states_decode.py"


rule states_forecasts:
    input:
        raw=raw(f"{RAW}/gfs/{{segment}}"),
    output:
        forecasts=directory(f"{RESULTS}/forecasts/gfs/{{segment}}.zarr"),
        ledger=f"{RESULTS}/forecasts/gfs/ledger/{{segment}}.parquet",
    params:
        code=code("states_forecasts"),
        grid=grid(),
        dates=lambda wildcards: dates(CONFIG.periods.test, wildcards.segment),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
    log:
        f"{LOGS}/states_forecasts/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_forecasts/{{segment}}.tsv"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=360,
    conda:
        "../../envs/states.yaml"
    script:
        "../scripts/states_forecasts.py"


rule states_truth:
    input:
        raw=f"{RAW}/truth/{{segment}}.zarr",
    output:
        states=directory(f"{RESULTS}/states/truth/{{segment}}.zarr"),
    params:
        code=code("states_truth"),
        grid=grid(),
        dates=lambda wildcards: dates(CONFIG.verification_period, wildcards.segment),
    log:
        f"{LOGS}/states_truth/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_truth/{{segment}}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../../envs/states.yaml"
    script:
        "../scripts/states_truth.py"


rule states_statistics:
    input:
        states=expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=TRAINING_SEGMENTS),
        invariants=raw(f"{RAW}/era5/invariants.grib"),
    output:
        statistics=directory(f"{RESULTS}/states/statistics.zarr"),
    params:
        code=code("states_statistics"),
        dates=dates(CONFIG.periods.training),
    log:
        f"{LOGS}/states_statistics/statistics.log",
    benchmark:
        f"{BENCHMARKS}/states_statistics/statistics.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=360,
    conda:
        "../../envs/states.yaml"
    script:
        "../scripts/states_statistics.py"


rule states_climatology:
    input:
        states=expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=TRAINING_SEGMENTS),
    output:
        climatology=directory(f"{RESULTS}/states/climatology.zarr"),
    params:
        code=code("states_climatology"),
        dates=dates(CONFIG.periods.training),
        window_days=CONFIG.verification.climatology_window_days,
    log:
        f"{LOGS}/states_climatology/climatology.log",
    benchmark:
        f"{BENCHMARKS}/states_climatology/climatology.tsv"
    threads: 1
    resources:
        mem_mb=4000 if CONFIG.grid.nlat < 360 else 12000,
        runtime=720,
    conda:
        "../../envs/states.yaml"
    script:
        "../scripts/states_climatology.py"


rule states:
    localrule: True
    input:
        rules.states_statistics.output.statistics,
        rules.states_climatology.output.climatology,
        expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=VERIFICATION_SEGMENTS),
        expand(f"{RESULTS}/states/gfs/{{segment}}.zarr", segment=VERIFICATION_SEGMENTS),
        expand(f"{RESULTS}/forecasts/gfs/{{segment}}.zarr", segment=TEST_SEGMENTS),
        expand(
            f"{RESULTS}/states/truth/{{segment}}.zarr",
            segment=VERIFICATION_SEGMENTS if CONFIG.kind == "embedded" else [],
        ),
