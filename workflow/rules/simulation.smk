"""Simulated observations for hybrid training: reanalyses at real footprints, with the errors of real observations.

They lie under `simulated/`, apart from real ones, and no rule but those of training reads them.
"""


include: "functions/simulation.smk"


SIMULATED = f"{RESULTS}/simulated"


rule simulation_departures:
    input:
        tables=simulation_template_tables,
        states=simulation_template_states,
        statistics=f"{RESULTS}/states/statistics.zarr",
    output:
        errors=directory(f"{SIMULATED}/errors/{{source}}.zarr"),
    log:
        f"{LOGS}/simulation_departures/{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/simulation_departures/{{source}}.tsv"
    conda:
        "../../envs/simulation.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        code=code("simulation_departures"),
        source="{source}",
        description=simulation_source,
        template=simulation_template,
        seed=CONFIG.seed,
        world=WORLD,
    script:
        "../scripts/simulation_departures.py"


rule simulation_observations:
    input:
        states=simulation_segment_states,
        statistics=f"{RESULTS}/states/statistics.zarr",
        errors=rules.simulation_departures.output.errors,
        tables=simulation_places,
    output:
        table=f"{SIMULATED}/observations/{{source}}/{{segment}}.parquet",
    log:
        f"{LOGS}/simulation_observations/{{source}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/simulation_observations/{{source}}/{{segment}}.tsv"
    conda:
        "../../envs/simulation.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime=600,
    params:
        code=code("simulation_observations"),
        source="{source}",
        description=simulation_source,
        template=simulation_template,
        dates=simulation_dates,
        geometry=lambda wildcards: simulation_of(wildcards).geometry,
        strides=simulation_strides,
        seed=CONFIG.seed,
        world=WORLD,
    script:
        "../scripts/simulation_observations.py"


rule simulation_grid:
    input:
        table=rules.simulation_observations.output.table,
    output:
        grid=directory(f"{SIMULATED}/grids/{{source}}/{{segment}}.zarr"),
    log:
        f"{LOGS}/simulation_grid/{{source}}/{{segment}}.log",
    benchmark:
        f"{BENCHMARKS}/simulation_grid/{{source}}/{{segment}}.tsv"
    conda:
        "../../envs/simulation.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=code("simulation_grid"),
        source="{source}",
        units=lambda wildcards: sources.load_source(wildcards.source).units,
        options=observations_grid_options,
        seed=CONFIG.seed,
        grid=grid(),
        dates=simulation_dates,
        world=WORLD,
    script:
        "../scripts/simulation_grid.py"


rule simulation:
    input:
        [
            f"{SIMULATED}/grids/{name}/{segment}.zarr"
            for name, chosen in CONFIG.simulation.items()
            for segment in CONFIG.segments(chosen.period)
        ],
    localrule: True
