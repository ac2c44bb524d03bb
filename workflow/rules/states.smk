"""States: GRIB to stores on the grid of the networks; statistics and climatology of training."""


rule states_decode:
    input:
        raw=raw_input("{reference}/{segment}"),
    output:
        states=directory(results("states/{reference}/{segment}.zarr")),
        ledger=results("states/{reference}/ledger/{segment}.parquet"),
    wildcard_constraints:
        reference="era5|gfs",
    priority: 1
    resources:
        **request("states_decode"),
    params:
        reference="{reference}",
        compression=CONFIG.states.compression,
        grid=grid(),
        dates=states_dates,
        completeness=completeness("states"),
    script:
        "../scripts/states_decode.py"


rule states_forecasts:
    input:
        raw=raw_input("gfs/{segment}"),
    output:
        forecasts=forecast_store(directory(results("forecasts/gfs/{segment}.zarr"))),
        ledger=results("forecasts/gfs/ledger/{segment}.parquet"),
    resources:
        **request("states_forecasts"),
    params:
        grid=grid(),
        dates=states_scored_dates,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        kept=CONFIG.kept_channels,
        completeness=states_forecasts_completeness,
    script:
        "../scripts/states_forecasts.py"


rule states_system_forecasts:
    input:
        store=states_system_store("forecasts"),
    output:
        forecasts=forecast_store(directory(results("forecasts/{system}/{segment}.zarr"))),
        ledger=results("forecasts/{system}/ledger/{segment}.parquet"),
    resources:
        **request("states_system_forecasts"),
    params:
        system="{system}",
        grid=grid(),
        dates=states_scored_dates,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        channels=CONFIG.system_channels,
        completeness=completeness("forecasts"),
    script:
        "../scripts/states_system_forecasts.py"


rule states_system_analyses:
    input:
        store=states_system_store("analyses"),
    output:
        states=directory(results("states/{system}/{segment}.zarr")),
        ledger=results("states/{system}/ledger/{segment}.parquet"),
    resources:
        **request("states_system_analyses"),
    params:
        system="{system}",
        compression=CONFIG.states.compression,
        grid=grid(),
        dates=states_system_dates,
        channels=CONFIG.scored_channels,
        completeness=completeness("states"),
    script:
        "../scripts/states_system_analyses.py"


rule states_truth:
    input:
        raw=raw("truth/{segment}.zarr"),
    output:
        states=directory(results("states/truth/{segment}.zarr")),
    resources:
        **request("states_truth"),
    params:
        grid=grid(),
        dates=states_dates,
    script:
        "../scripts/states_truth.py"


rule states_statistics_part:
    input:
        states=states_with_previous,
    output:
        moments=results("states/statistics/{segment}.parquet"),
    priority: 1
    resources:
        **request("states_statistics_part"),
    params:
        dates=dates_in(CONFIG.periods.training),
    script:
        "../scripts/states_statistics_part.py"


rule states_statistics:
    input:
        moments=segments_of(rules.states_statistics_part.output.moments, CONFIG.periods.training),
        invariants=raw_input("era5/invariants"),
    output:
        statistics=directory(results("states/statistics.zarr")),
    priority: 1
    resources:
        **request("states_statistics"),
    params:
        grid=grid(),
    script:
        "../scripts/states_statistics.py"


rule states_climatology_part:
    input:
        states=states_of_slice,
    output:
        part=directory(results("states/climatology/{month}.zarr")),
    wildcard_constraints:
        month=r"\d{2}",
    threads: threads_of("states_climatology_part")
    resources:
        **request("states_climatology_part"),
    params:
        spans=states_spans,
        window_days=CONFIG.verification.climatology_window_days,
        reading=lambda wildcards, threads: SimpleNamespace(threads=max(1, threads - 1)),
    script:
        "../scripts/states_climatology_part.py"


rule states_climatology:
    input:
        parts=expand(rules.states_climatology_part.output.part, month=states_slices()),
    output:
        climatology=directory(results("states/climatology.zarr")),
    threads: threads_of("states_climatology")
    resources:
        **request("states_climatology"),
    script:
        "../scripts/states_climatology.py"


rule states_scored_climatology:
    input:
        store=states_climatology_store,
        training=rules.states_climatology.output.climatology,
    output:
        climatology=directory(results("states/scored_climatology.zarr")),
    resources:
        **request("states_scored_climatology"),
    script:
        "../scripts/states_scored_climatology.py"


rule states:
    input:
        rules.states_statistics.output.statistics,
        rules.states_climatology.output.climatology,
        segments_of(results("states/era5/{segment}.zarr"), CONFIG.verification_period),
        states_gfs_segments(results("states/gfs/{segment}.zarr"), CONFIG.verification_period),
        if_forecasts_stay(
            [
                path
                for period in CONFIG.periods.scored.values()
                for path in states_gfs_segments(results("forecasts/gfs/{segment}.zarr"), period)
            ]
        ),
        states_truth_segments(results("states/truth/{segment}.zarr")),
    localrule: True
