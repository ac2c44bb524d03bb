"""Downloads of the real archives to resources/archive, where the configuration has kind: archive."""

if CONFIG.kind == "archive":

    rule archive_era5:
        output:
            raw=directory(raw("era5/{segment}")),
        resources:
            mem_mb=memory(1000),
            runtime=2880,
            downloads=1,
        params:
            dates=states_dates,
            days_per_request=ARCHIVES.era5.days_per_request,
            partial=raw(".partial/era5/{segment}"),
        script:
            "../scripts/archive_era5.py"

    rule archive_invariants:
        output:
            raw=raw("era5/invariants.grib"),
        resources:
            mem_mb=memory(1000),
            runtime=600,
            downloads=1,
        script:
            "../scripts/archive_invariants.py"

    rule archive_gfs:
        output:
            raw=directory(raw("gfs/{segment}")),
        resources:
            mem_mb=memory(1000),
            runtime=1440,
            downloads=1,
        params:
            dates=states_dates,
            forecast_dates=archive_forecast_dates,
            init_hours=CONFIG.cycling.init_hours,
            max_lead_hours=CONFIG.cycling.max_lead_hours,
            archive=ARCHIVES.gfs.model_dump(),
            partial=raw(".partial/gfs/{segment}"),
            workers=4,
        script:
            "../scripts/archive_gfs.py"

    rule archive_source:
        output:
            raw=directory(raw("{source}/{segment}")),
        resources:
            mem_mb=memory(1000),
            runtime=1440,
            downloads=1,
        params:
            source="{source}",
            dates=states_dates,
            archive=archive_of_source,
            partial=raw(".partial/{source}/{segment}"),
            workers=8,
        script:
            "../scripts/archive_source.py"

    rule archive:
        input:
            segments_of(rules.archive_era5.output.raw, CONFIG.periods.training),
            segments_of(rules.archive_era5.output.raw, CONFIG.verification_period),
            rules.archive_invariants.output.raw,
            segments_of(rules.archive_gfs.output.raw, CONFIG.verification_period),
            expand(
                rules.archive_source.output.raw,
                source=CONFIG.sources,
                segment=observations_segments(),
            ),
        localrule: True

else:

    rule archive:
        localrule: True
