"""The embedded world: a nature run as the truth, and raw files of it in the real formats."""

if CONFIG.kind == "embedded":

    rule world_spinup:
        output:
            restart=raw("nature/spinup.restart"),
            errors=passing("raw", directory(raw("nature/errors.zarr"))),
        resources:
            **request("world_spinup"),
        params:
            **world_model(),
            start=str(world_period().start),
            days=CONFIG.world.spinup_days,
            error_days=CONFIG.world.error_days,
            cache=restart("jax"),
            grid=CONFIG.world.grid.model_dump(),
        script:
            "../scripts/world_spinup.py"

    rule world_nature:
        input:
            restart=world_restart,
        output:
            truth=passing("raw", directory(raw("truth/{segment}.zarr"))),
            native=passing("raw", directory(raw("nature/{segment}.zarr"))),
            restart=raw("nature/{segment}.restart"),
        # a segment starts from the one before, and all else waits for them
        priority: 2
        resources:
            **request("world_nature"),
        params:
            **world_model(),
            dates=world_dates,
            test=world_test_dates,
            forecast_interval_hours=CONFIG.world.gfs.forecast_interval_hours,
            cache=restart("jax"),
            grid=CONFIG.world.grid.model_dump(),
        script:
            "../scripts/world_nature.py"

    rule world_invariants:
        input:
            truth=raw(f"truth/{CONFIG.segments(world_period())[0]}.zarr"),
        output:
            invariants=directory(raw("era5/invariants")),
        resources:
            **request("world_invariants"),
        script:
            "../scripts/world_invariants.py"

    rule world_era5:
        input:
            truth=raw("truth/{segment}.zarr"),
            errors=raw("nature/errors.zarr"),
        output:
            era5=passing("raw", directory(raw("era5/{segment}"))),
        priority: 1
        resources:
            **request("world_era5"),
        params:
            dates=world_dates,
            errors=CONFIG.world.era5.errors,
        script:
            "../scripts/world_era5.py"

    rule world_gfs:
        input:
            truth=raw("truth/{segment}.zarr"),
            native=raw("nature/{segment}.zarr"),
            errors=raw("nature/errors.zarr"),
        output:
            gfs=passing("raw", directory(raw("gfs/{segment}"))),
        # the longest job of a last segment: others fill the processor beside it
        priority: 1
        resources:
            **request("world_gfs"),
        params:
            **world_model(),
            dates=world_verification_dates,
            max_lead_hours=CONFIG.cycling.max_lead_hours,
            errors=CONFIG.world.gfs.errors,
            model=CONFIG.world.gfs.model.model_dump(),
            cache=restart("jax"),
        script:
            "../scripts/world_gfs.py"

    rule world_swaths:
        input:
            truth=[raw("truth/{segment}.zarr")],
        output:
            swaths=passing("raw", directory(raw("{source}/{segment}"))),
        wildcard_constraints:
            source=world_sources("swaths"),
        resources:
            **request("world_swaths"),
        params:
            coefficients=world_coefficients,
            source="{source}",
            dates=observations_dates,
            swath=world_observing,
            radiances=CONFIG.world.radiances.model_dump(),
            instrument=world_instrument,
            granule_minutes=CONFIG.world.granule_minutes,
            seed=CONFIG.seed,
        script:
            "../scripts/world_swaths.py"

    rule world_networks:
        input:
            truth=[raw("truth/{segment}.zarr")],
        output:
            reports=passing("raw", directory(raw("{source}/{segment}"))),
        wildcard_constraints:
            source=world_sources("networks"),
        resources:
            **request("world_networks"),
        params:
            source="{source}",
            dates=observations_dates,
            network=world_observing,
            instrument=world_instrument,
            seed=CONFIG.seed,
        script:
            "../scripts/world_networks.py"

    rule world_occultations:
        input:
            truth=[raw("truth/{segment}.zarr")],
        output:
            profiles=passing("raw", directory(raw("{source}/{segment}"))),
        wildcard_constraints:
            source=world_sources("occultations"),
        resources:
            **request("world_occultations"),
        params:
            source="{source}",
            dates=observations_dates,
            occultations=world_observing,
            instrument=world_instrument,
            seed=CONFIG.seed,
        script:
            "../scripts/world_occultations.py"

    if CONFIG.cyclones:

        rule world_best_tracks:
            input:
                truth=segments_of(raw("truth/{segment}.zarr"), cyclones_period()),
            output:
                best_tracks=directory(raw(f"{needs.BEST_TRACKS}/{needs.WHOLE}")),
            resources:
                **request("world_best_tracks"),
            params:
                dates=dates(cyclones_period()),
                storms=CONFIG.cyclones.world.model_dump(mode="json"),
                tracker=CONFIG.cyclones.tracker.model_dump(mode="json"),
            script:
                "../scripts/world_best_tracks.py"

    rule world:
        input:
            truth=segments_of(raw("truth/{segment}.zarr"), world_period()),
            invariants=raw("era5/invariants"),
            era5=segments_of(raw("era5/{segment}"), world_period()),
            gfs=segments_of(raw("gfs/{segment}"), CONFIG.verification_period),
            observations=expand(
                raw("{source}/{segment}"), source=CONFIG.sources, segment=observations_segments()
            ),
            best_tracks=rules.world_best_tracks.output if CONFIG.cyclones else [],
        localrule: True
