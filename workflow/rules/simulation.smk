"""Simulated observations for hybrid training: reanalyses at real footprints, with the errors of real observations.

They lie under `simulated/`, apart from real ones, and no rule but those of training reads them.
"""


rule simulation_departures:
    input:
        tables=simulation_template_tables,
        states=simulation_template_states,
        statistics=results("states/statistics.zarr"),
    output:
        errors=directory(results("simulated/errors/{source}.zarr")),
    threads: threads_of("simulation_departures")
    resources:
        **request("simulation_departures"),
    params:
        coefficients=of_source(lambda source: coefficients([source.name])),
        source="{source}",
        description=simulation_source,
        template=simulation_template,
        threads=threads_of("simulation_departures"),
        seed=CONFIG.seed,
    script:
        "../scripts/simulation_departures.py"


rule simulation_observations:
    input:
        states=simulation_segment_states,
        statistics=results("states/statistics.zarr"),
        errors=rules.simulation_departures.output.errors,
        tables=simulation_places,
    output:
        table=results("simulated/observations/{source}/{segment}.parquet"),
    threads: threads_of("simulation_observations")
    resources:
        **request("simulation_observations"),
    params:
        coefficients=of_source(lambda source: coefficients([source.name])),
        source="{source}",
        description=simulation_source,
        template=simulation_template,
        dates=simulation_dates,
        geometry=simulation_geometry,
        strides=simulation_strides,
        threads=threads_of("simulation_observations"),
        seed=CONFIG.seed,
    script:
        "../scripts/simulation_observations.py"


rule simulation_grid:
    input:
        table=rules.simulation_observations.output.table,
    output:
        grid=directory(results("simulated/grids/{source}/{segment}.zarr")),
    resources:
        **request("simulation_grid"),
    params:
        source="{source}",
        units=of_source(lambda source: source.units),
        options=observations_grid_options,
        seed=CONFIG.seed,
        grid=grid(),
        dates=simulation_dates,
    script:
        "../scripts/simulation_grid.py"


rule simulation:
    input:
        simulation_grids(CONFIG.simulation),
    localrule: True
