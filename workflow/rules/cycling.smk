"""Cycling: analyses every six hours from a cold start, and the forecasts that start from them."""


rule cycling_analyses:
    input:
        unpack(cycling_start),
        unpack(cycling_first_guess),
        checkpoint=cycling_checkpoint,
        climatology=results("states/climatology.zarr"),
        grids=cycling_grids,
    output:
        **cycling_ledger(),
        analyses=directory(results("analyses/{experiment}/{segment}.zarr")),
        carry=results("analyses/{experiment}/{segment}.carry.pt"),
    resources:
        **request("cycling_analyses"),
    params:
        compression=CONFIG.states.compression,
        sources=of_experiment(lambda one: one.sources),
        windows=lambda wildcards: windows(wildcards.experiment),
        from_climatology=of_experiment(lambda one: one.background == "none"),
        assimilator=of_experiment(lambda one: one.assimilator),
        first_guess=cycling_first_guess_settings,
        dates=dates_in(CONFIG.cycling_period),
        accelerator=of_experiment(lambda one: one.training.accelerator),
        execution=cycling_execution(),
        state=restart("cycling/{experiment}/{segment}/analyses"),
        completeness=completeness("analyses"),
    script:
        "../scripts/cycling_analyses.py"


rule cycling_response:
    input:
        checkpoint=cycling_case_checkpoint,
        analyses=cycling_case_analyses,
        climatology=results("states/climatology.zarr"),
        statistics=results("states/statistics.zarr"),
        grids=cycling_case_grids,
    output:
        response=directory(results("analyses/{experiment}/response.zarr")),
    resources:
        **request("cycling_response"),
    params:
        coefficients=cycling_coefficients,
        sources=of_experiment(lambda one: one.sources),
        windows=lambda wildcards: windows(wildcards.experiment),
        from_climatology=of_experiment(lambda one: one.background == "none"),
        assimilator=of_experiment(lambda one: one.assimilator),
        case=CONFIG.case.isoformat(),
        source=cycling_perturbation("source"),
        channel=cycling_perturbation("channel"),
        kelvin=cycling_perturbation("kelvin"),
        places=cycling_perturbation("places"),
        seed=CONFIG.seed,
        accelerator=of_experiment(lambda one: one.training.accelerator),
        execution=cycling_execution(),
    script:
        "../scripts/cycling_response.py"


rule cycling_forecasts:
    input:
        checkpoint=cycling_forecast_checkpoint,
        analyses=cycling_near_analyses,
    output:
        forecasts=forecast_store(directory(results("forecasts/{experiment}/{segment}.zarr"))),
    wildcard_constraints:
        experiment=cycling_pattern(external=False),
    resources:
        **request("cycling_forecasts"),
    params:
        dates=verification_days,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        kept=CONFIG.kept_channels,
        batch=CONFIG.cycling.batch,
        accelerator=of_experiment(lambda one: one.training.accelerator),
        execution=cycling_execution(),
        state=restart("cycling/{experiment}/{segment}/forecasts"),
        completeness=completeness("forecasts"),
    script:
        "../scripts/cycling_forecasts.py"


rule cycling_external_forecasts:
    input:
        unpack(cycling_forecaster),
        unpack(cycling_initial),
    output:
        forecasts=forecast_store(directory(results("forecasts/{experiment}/{segment}.zarr"))),
    wildcard_constraints:
        experiment=cycling_pattern(external=True),
    threads: threads_of("cycling_external_forecasts")
    resources:
        **request("cycling_external_forecasts"),
    params:
        grid=grid(),
        dates=verification_days,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        kept=CONFIG.kept_channels,
        batch=CONFIG.cycling.batch,
        initial=cycling_initial_name,
        steps=cycling_cascade_steps,
        accelerator=of_experiment(lambda one: one.training.accelerator),
        threads=threads_of("cycling_external_forecasts"),
        execution=cycling_execution(),
        state=restart("cycling/{experiment}/{segment}/forecasts"),
        completeness=completeness("forecasts"),
    script:
        "../scripts/cycling_external_forecasts.py"


rule cycling:
    input:
        expand(
            segments_of(results("analyses/{experiment}/{segment}.zarr"), CONFIG.cycling_period),
            experiment=CONFIG.cycled_experiments,
        ),
        if_forecasts_stay(
            expand(
                results("forecasts/{experiment}/{segment}.zarr"),
                experiment=CONFIG.forecasting_experiments,
                segment=CONFIG.scored_segments,
            )
        ),
    localrule: True
