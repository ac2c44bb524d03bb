"""Scores of forecasts and analyses, departures, error maps, and the one score table."""


rule verification_baselines:
    input:
        era5=verification_states("era5"),
        truth=verification_states("truth"),
        gfs=verification_states("gfs"),
        forecasts=verification_gfs_forecasts(),
        climatology=results("states/climatology.zarr"),
    output:
        scores=results("scores/baselines.parquet"),
        cases=directory(results("scores/baselines.zarr")),
    resources:
        **request("verification_baselines"),
    params:
        **verification_resampling(),
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        regions=CONFIG.verification.regions,
        baselines=CONFIG.verification.baselines,
        own="own" in CONFIG.verification.references,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_baselines.py"


rule verification_forecasts:
    input:
        forecasts=verification_forecasts(),
        analyses=verification_initial,
        era5=verification_states("era5"),
        truth=verification_states("truth"),
        climatology=results("states/climatology.zarr"),
        baselines=results("scores/baselines.zarr"),
    output:
        scores=results("scores/{experiment}/forecasts.parquet"),
        cases=directory(results("scores/{experiment}/forecasts.cases.zarr")),
    resources:
        **request("verification_forecasts"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        regions=CONFIG.verification.regions,
        baselines=CONFIG.verification.baselines,
        array=verification_initial_array,
        own="own" in CONFIG.verification.references,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_forecasts.py"


rule verification_maps:
    input:
        forecasts=verification_forecasts(),
        era5=verification_states("era5"),
        truth=verification_states("truth"),
        climatology=results("states/climatology.zarr"),
    output:
        maps=directory(results("scores/{experiment}/maps.zarr")),
    resources:
        **request("verification_maps"),
    params:
        period=dates(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        map_leads=CONFIG.figures.map_leads,
        map_channels=CONFIG.figures.map_channels,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_maps.py"


rule verification_analyses:
    input:
        analyses=verification_analyses(),
        era5=verification_states("era5"),
        truth=verification_states("truth"),
        climatology=results("states/climatology.zarr"),
        baselines=results("scores/baselines.zarr"),
        grids=of_experiment(lambda one: verification_grids(one.sources)),
    output:
        scores=results("scores/{experiment}/analyses.parquet"),
        cycle=results("scores/{experiment}/cycle.parquet"),
        observations=results("scores/{experiment}/observations.parquet"),
        cases=directory(results("scores/{experiment}/analyses.cases.zarr")),
    resources:
        **request("verification_analyses"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
        period=dates(CONFIG.periods.test),
        cycle=dates(CONFIG.cycling_period),
        windows=lambda wildcards: windows(wildcards.experiment),
        regions=CONFIG.verification.regions,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_analyses.py"


rule verification_departures:
    input:
        analyses=verification_analyses(),
        grids=verification_grids(verification_computable()),
        statistics=results("states/statistics.zarr"),
    output:
        scores=results("scores/{experiment}/departures.parquet"),
    resources:
        **request("verification_departures"),
    params:
        **verification_resampling(),
        coefficients=coefficients(verification_computable()),
        experiment="{experiment}",
        sources=verification_computable(),
        instruments=[sources.load_source(name).instrument for name in verification_computable()],
        period=dates(CONFIG.periods.test),
        regions=CONFIG.verification.regions,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_departures.py"


rule verification_comparisons:
    input:
        own=lambda wildcards: verification_cases(wildcards.experiment),
        others=verification_other_cases,
    output:
        scores=results("scores/{experiment}/comparisons.parquet"),
    resources:
        **request("verification_comparisons"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
    script:
        "../scripts/verification_comparisons.py"


rule verification_scores:
    input:
        scores=[
            results("scores/baselines.parquet"),
            *expand(
                results("scores/{experiment}/{kind}.parquet"),
                experiment=CONFIG.cycled_experiments,
                kind=["analyses", "departures"],
            ),
            *expand(
                results("scores/{experiment}/forecasts.parquet"),
                experiment=CONFIG.forecasting_experiments,
            ),
            *expand(
                results("scores/{experiment}/comparisons.parquet"),
                experiment=CONFIG.comparisons,
            ),
        ],
    output:
        scores=results("scores/scores.parquet"),
    resources:
        **request("verification_scores"),
    script:
        "../scripts/verification_scores.py"


rule verification_acceptance:
    input:
        scores=results("scores/scores.parquet"),
        cycle=verification_judged_cycle(),
    output:
        table=report(
            results("scores/acceptance.csv"),
            caption="../report/acceptance.rst",
            category="Headline numbers",
            labels={"table": "numbers and bars"},
        ),
    resources:
        **request("verification_acceptance"),
    script:
        "../scripts/verification_acceptance.py"


rule verification:
    input:
        rules.verification_scores.output,
        rules.verification_acceptance.output if verification_states("truth") else [],
        expand(rules.verification_maps.output.maps, experiment=CONFIG.forecasting_experiments),
        expand(rules.verification_analyses.output.cycle, experiment=CONFIG.cycled_experiments),
        expand(
            rules.verification_analyses.output.observations, experiment=CONFIG.cycled_experiments
        ),
    localrule: True
