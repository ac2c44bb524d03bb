"""The embedded world: a nature run as the truth, and from it raw files in the formats of the real archives."""

from fuxiflow import times
from fuxiflow.config import Period

if CONFIG.kind == "embedded":
    NATURE = Period(start=CONFIG.periods.training.start, end=CONFIG.verification_period.end)
    NATURE_SEGMENTS = CONFIG.segments(NATURE)
    OBSERVED = {
        segment: period
        for period in (CONFIG.periods.observations, CONFIG.cycling_period)
        for segment in CONFIG.segments(period)
    }
    MODEL = {
        "truncation": CONFIG.world.truncation,
        "time_step_minutes": CONFIG.world.time_step_minutes,
        "grid": CONFIG.world.grid.model_dump(),
    }
    JAX_CACHE = f"{STATE}/jax"

    def nature_restart(wildcards):
        """The state that a segment of the nature run starts from."""
        if wildcards.segment == NATURE_SEGMENTS[0]:
            return f"{RAW}/nature/spinup.restart"
        return f"{RAW}/nature/{times.previous_segment(wildcards.segment, CONFIG.segment_months)}.restart"

    rule world_spinup:
        output:
            restart=f"{RAW}/nature/spinup.restart",
            errors=directory(f"{RAW}/nature/errors.zarr"),
        params:
            code=code("world_spinup"),
            start=str(NATURE.start),
            days=CONFIG.world.spinup_days,
            cache=JAX_CACHE,
            world=WORLD,
            **MODEL,
        log:
            f"{LOGS}/world_spinup.log",
        benchmark:
            f"{BENCHMARKS}/world_spinup.tsv"
        threads: 1
        resources:
            mem_mb=3000,
            runtime=60,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_spinup.py"

    rule world_nature:
        input:
            restart=nature_restart,
        output:
            truth=directory(f"{RAW}/truth/{{segment}}.zarr"),
            native=directory(f"{RAW}/nature/{{segment}}.zarr"),
            restart=f"{RAW}/nature/{{segment}}.restart",
        params:
            code=code("world_nature"),
            dates=lambda wildcards: dates(NATURE, wildcards.segment),
            test=dates(CONFIG.periods.test),
            forecast_interval_hours=CONFIG.world.gfs.forecast_interval_hours,
            cache=JAX_CACHE,
            world=WORLD,
            **MODEL,
        log:
            f"{LOGS}/world_nature/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_nature/{{segment}}.tsv"
        threads: 1
        resources:
            mem_mb=3000,
            runtime=120,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_nature.py"

    rule world_invariants:
        input:
            truth=f"{RAW}/truth/{NATURE_SEGMENTS[0]}.zarr",
        output:
            invariants=f"{RAW}/era5/invariants.grib",
        params:
            code=code("world_invariants"),
            world=WORLD,
        log:
            f"{LOGS}/world_invariants.log",
        benchmark:
            f"{BENCHMARKS}/world_invariants.tsv"
        threads: 1
        resources:
            mem_mb=500,
            runtime=10,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_invariants.py"

    rule world_era5:
        input:
            truth=f"{RAW}/truth/{{segment}}.zarr",
            errors=f"{RAW}/nature/errors.zarr",
        output:
            era5=directory(f"{RAW}/era5/{{segment}}"),
        params:
            code=code("world_era5"),
            dates=lambda wildcards: dates(NATURE, wildcards.segment),
            error=CONFIG.world.era5.error,
            low_level_bias=CONFIG.world.era5.low_level_bias,
            world=WORLD,
        log:
            f"{LOGS}/world_era5/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_era5/{{segment}}.tsv"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=60,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_era5.py"

    rule world_gfs:
        input:
            truth=f"{RAW}/truth/{{segment}}.zarr",
            native=f"{RAW}/nature/{{segment}}.zarr",
            errors=f"{RAW}/nature/errors.zarr",
        output:
            gfs=directory(f"{RAW}/gfs/{{segment}}"),
        params:
            code=code("world_gfs"),
            dates=lambda wildcards: dates(CONFIG.verification_period, wildcards.segment),
            max_lead_hours=CONFIG.cycling.max_lead_hours,
            error=CONFIG.world.gfs.error,
            low_level_bias=CONFIG.world.gfs.low_level_bias,
            truncation=CONFIG.world.truncation,
            time_step_minutes=CONFIG.world.time_step_minutes,
            cache=JAX_CACHE,
            world=WORLD,
        log:
            f"{LOGS}/world_gfs/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_gfs/{{segment}}.tsv"
        threads: 1
        resources:
            mem_mb=3000,
            runtime=120,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_gfs.py"

    rule world_swaths:
        input:
            truth=[f"{RAW}/truth/{{segment}}.zarr"],
            invariants=f"{RAW}/era5/invariants.grib",
        output:
            swaths=directory(f"{RAW}/{{source}}/{{segment}}"),
        wildcard_constraints:
            source="|".join(CONFIG.sources) or "none",
        params:
            code=code("world_swaths"),
            source=lambda wildcards: wildcards.source,
            dates=lambda wildcards: dates(OBSERVED[wildcards.segment], wildcards.segment),
            swath=lambda wildcards: swath(wildcards.source),
            granule_minutes=CONFIG.world.granule_minutes,
            seed=CONFIG.seed,
            world=WORLD,
        log:
            f"{LOGS}/world_swaths/{{source}}/{{segment}}.log",
        benchmark:
            f"{BENCHMARKS}/world_swaths/{{source}}/{{segment}}.tsv"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=120,
        conda:
            "../../envs/world.yaml"
        script:
            "../scripts/world_swaths.py"

    def swath(source):
        """How one source is thinned and spoiled, as a parameter."""
        from fuxiflow.config import Swath

        return CONFIG.world.swaths.get(source, Swath()).model_dump(mode="json")

    rule world:
        localrule: True
        input:
            truth=expand(f"{RAW}/truth/{{segment}}.zarr", segment=NATURE_SEGMENTS),
            invariants=f"{RAW}/era5/invariants.grib",
            era5=expand(f"{RAW}/era5/{{segment}}", segment=NATURE_SEGMENTS),
            gfs=expand(f"{RAW}/gfs/{{segment}}", segment=CONFIG.segments(CONFIG.verification_period)),
            swaths=expand(f"{RAW}/{{source}}/{{segment}}", source=CONFIG.sources, segment=OBSERVED),
