"""Level-1 files to footprint tables, quality control with a ledger, and sparse hourly grids."""


rule observations_read:
    input:
        files=raw_input("{source}/{segment}"),
        patterns=of_source(lambda source: source.pattern_files),
    output:
        table=passing("footprints", results("observations/{source}/read/{segment}.parquet")),
        ledger=results("observations/{source}/read/ledger/{segment}.parquet"),
        windows=results("observations/{source}/read/windows/{segment}.parquet"),
    resources:
        **request("observations_read"),
    params:
        source="{source}",
        reader=of_source(lambda source: source.reader),
        reader_code=observations_reader_code,
        file_pattern=of_source(lambda source: source.file_pattern),
        platforms=of_source(lambda source: source.platform_names),
        channels=of_source(lambda source: source.channel_names),
        dates=observations_dates,
        completeness=observations_completeness,
    script:
        "../scripts/observations_read.py"


rule observations_limits_part:
    input:
        table=rules.observations_read.output.table,
    output:
        histograms=results("observations/{source}/limits/{segment}.parquet"),
    resources:
        **request("observations_limits_part"),
    params:
        channels=of_source(lambda source: source.channel_names),
        ranges=of_source(lambda source: source.valid_ranges),
        logarithmic=of_source(lambda source: source.logarithmic),
        dates=observations_dates,
        denials=observations_denials,
        withheld=observations_withheld,
    script:
        "../scripts/observations_limits_part.py"


rule observations_limits:
    input:
        histograms=segments_of(
            rules.observations_limits_part.output.histograms, CONFIG.periods.observations
        ),
    output:
        limits=results("observations/{source}/limits.parquet"),
    resources:
        **request("observations_limits"),
    params:
        channels=of_source(lambda source: source.channel_names),
        ranges=of_source(lambda source: source.valid_ranges),
        logarithmic=of_source(lambda source: source.logarithmic),
    script:
        "../scripts/observations_limits.py"


rule observations_quality:
    input:
        table=rules.observations_read.output.table,
        ledger=rules.observations_read.output.ledger,
        limits=rules.observations_limits.output.limits,
    output:
        table=results("observations/{source}/{segment}.parquet"),
        ledger=results("observations/{source}/ledger/{segment}.parquet"),
    resources:
        **request("observations_quality"),
    params:
        source="{source}",
        ranges=of_source(lambda source: source.valid_ranges),
        max_z=of_source(lambda source: source.max_z),
        max_speed=of_source(lambda source: source.max_speed),
        dates=observations_dates,
        denials=observations_denials,
        withheld=observations_withheld,
        completeness=observations_completeness,
    script:
        "../scripts/observations_quality.py"


rule observations_grid:
    input:
        table=rules.observations_quality.output.table,
    output:
        grid=directory(results("grids/{source}/{segment}.zarr")),
    resources:
        **request("observations_grid"),
    params:
        source="{source}",
        units=of_source(lambda source: source.units),
        options=observations_grid_options,
        seed=CONFIG.seed,
        grid=grid(),
        dates=observations_dates,
        completeness=observations_completeness,
    script:
        "../scripts/observations_grid.py"


rule observations_statistics_part:
    input:
        grid=rules.observations_grid.output.grid,
    output:
        moments=results("grids/{source}/statistics/{segment}.parquet"),
    resources:
        **request("observations_statistics_part"),
    params:
        dates=observations_dates,
    script:
        "../scripts/observations_statistics_part.py"


rule observations_statistics:
    input:
        moments=segments_of(
            rules.observations_statistics_part.output.moments, CONFIG.periods.observations
        ),
    output:
        statistics=directory(results("grids/{source}/statistics.zarr")),
    resources:
        **request("observations_statistics"),
    params:
        source="{source}",
    script:
        "../scripts/observations_statistics.py"


rule observations:
    input:
        grids=expand(
            rules.observations_grid.output.grid,
            source=CONFIG.sources,
            segment=observations_segments(),
        ),
        statistics=expand(rules.observations_statistics.output.statistics, source=CONFIG.sources),
    localrule: True
