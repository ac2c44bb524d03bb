"""The embedded world: a nature run as the truth, and from it raw files in the formats of the real archives."""


include: "functions/world.smk"


if CONFIG.kind == "embedded":

    rule world_spinup:
        output:
            restart=f"{RAW}/nature/spinup.restart",
            errors=directory(f"{RAW}/nature/errors.zarr"),
        log:
            f"{LOGS}/world_spinup.log",
        benchmark:
            f"{BENCHMARKS}/world_spinup.tsv"
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=60,
        params:
            **MODEL,
            code=code("world_spinup"),
            start=str(NATURE.start),
            days=CONFIG.world.spinup_days,
            cache=JAX_CACHE,
            world=WORLD,
            grid=WORLD_GRID,
        script:
            "../scripts/world_spinup.py"

    rule world_nature:
        input:
            restart=nature_restart,
        output:
            truth=directory(f"{RAW}/truth/{{segment}}.zarr"),
            native=directory(f"{RAW}/nature/{{segment}}.zarr"),
            restart=f"{RAW}/nature/{{segment}}.restart",
        log:
            f"{LOGS}/world_nature/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_nature/{{segment}}.tsv"
        # a segment starts from the one before, and all else waits for them
        priority: 2
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=120,
        params:
            **MODEL,
            code=code("world_nature"),
            dates=nature_dates,
            test=nature_test,
            forecast_interval_hours=CONFIG.world.gfs.forecast_interval_hours,
            cache=JAX_CACHE,
            world=WORLD,
            grid=WORLD_GRID,
        script:
            "../scripts/world_nature.py"

    rule world_invariants:
        input:
            truth=f"{RAW}/truth/{NATURE_SEGMENTS[0]}.zarr",
        output:
            invariants=f"{RAW}/era5/invariants.grib",
        log:
            f"{LOGS}/world_invariants.log",
        benchmark:
            f"{BENCHMARKS}/world_invariants.tsv"
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(500),
            runtime=10,
        params:
            code=code("world_invariants"),
            world=WORLD,
        script:
            "../scripts/world_invariants.py"

    rule world_era5:
        input:
            truth=f"{RAW}/truth/{{segment}}.zarr",
            errors=f"{RAW}/nature/errors.zarr",
        output:
            era5=directory(f"{RAW}/era5/{{segment}}"),
        log:
            f"{LOGS}/world_era5/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_era5/{{segment}}.tsv"
        priority: 1
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=60,
        params:
            code=code("world_era5"),
            dates=nature_dates,
            errors=CONFIG.world.era5.errors,
            world=WORLD,
        script:
            "../scripts/world_era5.py"

    rule world_gfs:
        input:
            truth=f"{RAW}/truth/{{segment}}.zarr",
            native=f"{RAW}/nature/{{segment}}.zarr",
            errors=f"{RAW}/nature/errors.zarr",
        output:
            gfs=directory(f"{RAW}/gfs/{{segment}}"),
        log:
            f"{LOGS}/world_gfs/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_gfs/{{segment}}.tsv"
        # the longest job of a last segment: others fill the processor beside it
        priority: 1
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=120,
        params:
            **MODEL,
            code=code("world_gfs"),
            dates=verification_dates,
            max_lead_hours=CONFIG.cycling.max_lead_hours,
            errors=CONFIG.world.gfs.errors,
            cache=JAX_CACHE,
            world=WORLD,
        script:
            "../scripts/world_gfs.py"

    rule world_swaths:
        input:
            truth=[f"{RAW}/truth/{{segment}}.zarr"],
        output:
            swaths=directory(f"{RAW}/{{source}}/{{segment}}"),
        log:
            f"{LOGS}/world_swaths/{{source}}/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_swaths/{{source}}/{{segment}}.tsv"
        wildcard_constraints:
            source=simulated("swaths"),
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=120,
        params:
            code=code("world_swaths"),
            source="{source}",
            dates=observed_dates,
            swath=world_observing,
            instrument=world_instrument,
            granule_minutes=CONFIG.world.granule_minutes,
            seed=CONFIG.seed,
            world=WORLD,
        script:
            "../scripts/world_swaths.py"

    rule world_networks:
        input:
            truth=[f"{RAW}/truth/{{segment}}.zarr"],
        output:
            reports=directory(f"{RAW}/{{source}}/{{segment}}"),
        log:
            f"{LOGS}/world_networks/{{source}}/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_networks/{{source}}/{{segment}}.tsv"
        wildcard_constraints:
            source=simulated("networks"),
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=120,
        params:
            code=code("world_networks"),
            source="{source}",
            dates=observed_dates,
            network=world_observing,
            instrument=world_instrument,
            seed=CONFIG.seed,
            world=WORLD,
        script:
            "../scripts/world_networks.py"

    rule world_occultations:
        input:
            truth=[f"{RAW}/truth/{{segment}}.zarr"],
        output:
            profiles=directory(f"{RAW}/{{source}}/{{segment}}"),
        log:
            f"{LOGS}/world_occultations/{{source}}/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_occultations/{{source}}/{{segment}}.tsv"
        wildcard_constraints:
            source=simulated("occultations"),
        conda:
            "../../envs/world.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=120,
        params:
            code=code("world_occultations"),
            source="{source}",
            dates=observed_dates,
            occultations=world_observing,
            instrument=world_instrument,
            seed=CONFIG.seed,
            world=WORLD,
        script:
            "../scripts/world_occultations.py"

    rule world:
        input:
            truth=expand(f"{RAW}/truth/{{segment}}.zarr", segment=NATURE_SEGMENTS),
            invariants=f"{RAW}/era5/invariants.grib",
            era5=expand(f"{RAW}/era5/{{segment}}", segment=NATURE_SEGMENTS),
            gfs=expand(
                f"{RAW}/gfs/{{segment}}", segment=CONFIG.segments(CONFIG.verification_period)
            ),
            observations=expand(
                f"{RAW}/{{source}}/{{segment}}", source=CONFIG.sources, segment=OBSERVED
            ),
        localrule: True
