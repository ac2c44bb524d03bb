"""Downloads of the real archives, where the configuration's kind is `archive`: raw files under resources/archive."""


include: "functions/archive.smk"


if CONFIG.kind == "archive":

    rule archive_era5:
        output:
            raw=directory(f"{RAW}/era5/{{segment}}"),
        log:
            f"{LOGS}/archive_era5/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/archive_era5/{{segment}}.tsv"
        conda:
            "../../envs/archive.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=2880,
            downloads=1,
        params:
            code=code("archive_era5"),
            dates=archive_dates,
            days_per_request=ARCHIVES.era5.days_per_request,
            partial=f"{RAW}/.partial/era5/{{segment}}",
            world=WORLD,
        script:
            "../scripts/archive_era5.py"

    rule archive_invariants:
        output:
            raw=f"{RAW}/era5/invariants.grib",
        log:
            f"{LOGS}/archive_invariants/invariants.log",
        benchmark:
            f"{BENCHMARKS}/archive_invariants/invariants.tsv"
        conda:
            "../../envs/archive.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=600,
            downloads=1,
        params:
            code=code("archive_invariants"),
            world=WORLD,
        script:
            "../scripts/archive_invariants.py"

    rule archive_gfs:
        output:
            raw=directory(f"{RAW}/gfs/{{segment}}"),
        log:
            f"{LOGS}/archive_gfs/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/archive_gfs/{{segment}}.tsv"
        conda:
            "../../envs/archive.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=1440,
            downloads=1,
        params:
            code=code("archive_gfs"),
            dates=archive_dates,
            forecast_dates=archive_forecast_dates,
            init_hours=CONFIG.cycling.init_hours,
            max_lead_hours=CONFIG.cycling.max_lead_hours,
            archive=ARCHIVES.gfs.model_dump(),
            partial=f"{RAW}/.partial/gfs/{{segment}}",
            workers=4,
            world=WORLD,
        script:
            "../scripts/archive_gfs.py"

    rule archive_source:
        output:
            raw=directory(f"{RAW}/{{source}}/{{segment}}"),
        log:
            f"{LOGS}/archive_source/{{source}}/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/archive_source/{{source}}/{{segment}}.tsv"
        conda:
            "../../envs/archive.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=1440,
            downloads=1,
        params:
            code=code("archive_source"),
            source="{source}",
            dates=archive_dates,
            archive=archive_of_source,
            partial=f"{RAW}/.partial/{{source}}/{{segment}}",
            workers=8,
            world=WORLD,
        script:
            "../scripts/archive_source.py"

    rule archive:
        input:
            expand(
                rules.archive_era5.output.raw,
                segment=sorted({*ARCHIVE_TRAINING, *ARCHIVE_VERIFICATION}),
            ),
            rules.archive_invariants.output.raw,
            expand(rules.archive_gfs.output.raw, segment=ARCHIVE_VERIFICATION),
            expand(rules.archive_source.output.raw, source=CONFIG.sources, segment=ARCHIVE_OBSERVED),
        localrule: True

else:

    rule archive:
        localrule: True
