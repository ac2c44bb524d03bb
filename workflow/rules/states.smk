"""States: GRIB to stores on the networks' grid, the statistics and the climatology of the training period."""


include: "functions/states.smk"


rule states_decode:
    input:
        raw=states_raw(f"{RAW}/{{reference}}/{{segment}}"),
    output:
        states=directory(f"{RESULTS}/states/{{reference}}/{{segment}}.zarr"),
        ledger=f"{RESULTS}/states/{{reference}}/ledger/{{segment}}.parquet",
    log:
        f"{LOGS}/states_decode/{{reference}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_decode/{{reference}}/{{segment}}.tsv"
    wildcard_constraints:
        reference="era5|gfs",
    priority: 1
    conda:
        "../../envs/states.yaml"
    threads: 1
    resources:
        mem_mb=memory(states_mb(10)),
        runtime=120,
    params:
        code=code("states_decode"),
        reference="{reference}",
        compression=CONFIG.states.compression,
        grid=grid(),
        dates=states_dates,
        world=WORLD,
    script:
        "../scripts/states_decode.py"


rule states_forecasts:
    input:
        raw=states_raw(f"{RAW}/gfs/{{segment}}"),
    output:
        forecasts=directory(f"{RESULTS}/forecasts/gfs/{{segment}}.zarr"),
        ledger=f"{RESULTS}/forecasts/gfs/ledger/{{segment}}.parquet",
    log:
        f"{LOGS}/states_forecasts/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_forecasts/{{segment}}.tsv"
    conda:
        "../../envs/states.yaml"
    threads: 1
    resources:
        mem_mb=memory(states_mb(60)),
        runtime=360,
    params:
        code=code("states_forecasts"),
        grid=grid(),
        dates=states_test_dates,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        world=WORLD,
    script:
        "../scripts/states_forecasts.py"


rule states_truth:
    input:
        raw=f"{RAW}/truth/{{segment}}.zarr",
    output:
        states=directory(f"{RESULTS}/states/truth/{{segment}}.zarr"),
    log:
        f"{LOGS}/states_truth/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/states_truth/{{segment}}.tsv"
    conda:
        "../../envs/states.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        code=code("states_truth"),
        grid=grid(),
        dates=states_dates,
        world=WORLD,
    script:
        "../scripts/states_truth.py"


rule states_statistics:
    input:
        states=expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=STATES_TRAINING),
        invariants=states_raw(f"{RAW}/era5/invariants.grib"),
    output:
        statistics=directory(f"{RESULTS}/states/statistics.zarr"),
    log:
        f"{LOGS}/states_statistics/statistics.log",
    benchmark:
        f"{BENCHMARKS}/states_statistics/statistics.tsv"
    priority: 1
    conda:
        "../../envs/states.yaml"
    threads: 1
    resources:
        mem_mb=memory(states_mb(10)),
        runtime=360,
    params:
        code=code("states_statistics"),
        dates=dates(CONFIG.periods.training),
        world=WORLD,
    script:
        "../scripts/states_statistics.py"


rule states_climatology:
    input:
        states=expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=STATES_TRAINING),
    output:
        climatology=directory(f"{RESULTS}/states/climatology.zarr"),
    log:
        f"{LOGS}/states_climatology/climatology.log",
    benchmark:
        f"{BENCHMARKS}/states_climatology/climatology.tsv"
    conda:
        "../../envs/states.yaml"
    threads: 1
    resources:
        mem_mb=memory(states_mb(40)),
        runtime=720,
    params:
        code=code("states_climatology"),
        dates=dates(CONFIG.periods.training),
        window_days=CONFIG.verification.climatology_window_days,
        world=WORLD,
    script:
        "../scripts/states_climatology.py"


rule states:
    input:
        rules.states_statistics.output.statistics,
        rules.states_climatology.output.climatology,
        expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=STATES_VERIFICATION),
        expand(f"{RESULTS}/states/gfs/{{segment}}.zarr", segment=STATES_VERIFICATION),
        expand(f"{RESULTS}/forecasts/gfs/{{segment}}.zarr", segment=STATES_TEST),
        expand(f"{RESULTS}/states/truth/{{segment}}.zarr", segment=STATES_TRUTH),
    localrule: True
