"""Scores of forecasts and analyses, departures, error maps, and the one score table.

Parts are of a segment, which is of validation or of the test. Tables of all segments lie in a folder
each: ``scores`` of the test, ``validation``.
"""


rule verification_baselines_part:
    input:
        era5=verification_valid_states("era5"),
        truth=verification_valid_states("truth"),
        gfs=verification_valid_states("gfs"),
        forecasts=(results("forecasts/gfs/{segment}.zarr") if verification_uses("gfs") else []),
        climatology=verification_climatology(),
    output:
        cases=directory(results("scores/baselines/{segment}.zarr")),
    resources:
        **request("verification_baselines_part"),
    params:
        period=verification_days,
        init_hours=CONFIG.cycling.init_hours,
        max_lead_hours=CONFIG.cycling.max_lead_hours,
        regions=CONFIG.verification.regions,
        channels=CONFIG.scored_channels,
        climatology="climatology" in CONFIG.verification.baselines,
        own="own" in CONFIG.verification.references,
    script:
        "../scripts/verification_baselines_part.py"


rule verification_systems_part:
    input:
        forecasts=results("forecasts/{system}/{segment}.zarr"),
        analyses=verification_system_analyses,
        era5=verification_valid_states("era5"),
        truth=verification_valid_states("truth"),
        climatology=verification_climatology(),
    output:
        cases=directory(results("scores/baselines/{system}/{segment}.zarr")),
    resources:
        **request("verification_systems_part"),
    params:
        system="{system}",
        period=verification_days,
        regions=CONFIG.verification.regions,
    script:
        "../scripts/verification_systems_part.py"


rule verification_baselines:
    input:
        parts=verification_baseline_parts,
    output:
        scores=results("{scores}/baselines.parquet"),
        cases=directory(results("{scores}/baselines.zarr")),
    resources:
        **request("verification_baselines"),
    params:
        **verification_resampling(),
        completeness=completeness("cases"),
    script:
        "../scripts/verification_baselines.py"


rule verification_forecasts_part:
    input:
        forecasts=results("forecasts/{experiment}/{segment}.zarr"),
        analyses=verification_initial,
        era5=verification_valid_states("era5"),
        truth=verification_valid_states("truth"),
        climatology=verification_climatology(),
    output:
        cases=directory(results("scores/{experiment}/forecasts/{segment}.zarr")),
    resources:
        **request("verification_forecasts_part"),
    params:
        period=verification_days,
        init_hours=CONFIG.cycling.init_hours,
        regions=CONFIG.verification.regions,
        channels=CONFIG.scored_channels,
        array=verification_initial_array,
        own="own" in CONFIG.verification.references,
        persistence="persistence" in CONFIG.verification.baselines,
    script:
        "../scripts/verification_forecasts_part.py"


rule verification_forecasts:
    input:
        parts=verification_parts(rules.verification_forecasts_part.output.cases),
        baselines=rules.verification_baselines.output.cases,
    output:
        scores=results("{scores}/{experiment}/forecasts.parquet"),
        cases=directory(results("{scores}/{experiment}/forecasts.cases.zarr")),
    resources:
        **request("verification_forecasts"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
        baselines=verification_compared,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_forecasts.py"


rule verification_maps_part:
    input:
        forecasts=results("forecasts/{experiment}/{segment}.zarr"),
        era5=verification_valid_states("era5"),
        truth=verification_valid_states("truth"),
        climatology=verification_climatology(),
    output:
        sums=directory(results("scores/{experiment}/maps/{segment}.zarr")),
    resources:
        **request("verification_maps_part"),
    params:
        period=dates_in(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        map_leads=CONFIG.figures.map_leads,
        map_channels=CONFIG.figures.map_channels,
    script:
        "../scripts/verification_maps_part.py"


rule verification_maps:
    input:
        parts=segments_of(rules.verification_maps_part.output.sums, CONFIG.periods.test),
    output:
        maps=directory(results("scores/{experiment}/maps.zarr")),
    resources:
        **request("verification_maps"),
    params:
        completeness=completeness("cases"),
    script:
        "../scripts/verification_maps.py"


rule verification_analyses_part:
    input:
        analyses=results("analyses/{experiment}/{segment}.zarr"),
        era5=verification_states("era5"),
        truth=verification_states("truth"),
        climatology=verification_climatology(),
        grids=cycling_grids,
    output:
        cases=directory(results("scores/{experiment}/analyses/{segment}.zarr")),
        observations=results("scores/{experiment}/observations/{segment}.parquet"),
    resources:
        **request("verification_analyses_part"),
    params:
        experiment="{experiment}",
        period=dates_in(CONFIG.cycling_period),
        windows=lambda wildcards: windows(wildcards.experiment),
        regions=CONFIG.verification.regions,
    script:
        "../scripts/verification_analyses_part.py"


rule verification_analyses:
    input:
        parts=verification_cycle_parts(rules.verification_analyses_part.output.cases),
        observations=verification_cycle_parts(rules.verification_analyses_part.output.observations),
        baselines=rules.verification_baselines.output.cases,
    output:
        scores=results("{scores}/{experiment}/analyses.parquet"),
        cycle=results("{scores}/{experiment}/cycle.parquet"),
        observations=results("{scores}/{experiment}/observations.parquet"),
        cases=directory(results("{scores}/{experiment}/analyses.cases.zarr")),
    resources:
        **request("verification_analyses"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
        period=verification_all_days,
        completeness=completeness("cases"),
    script:
        "../scripts/verification_analyses.py"


rule verification_departures_part:
    input:
        analyses=results("analyses/{experiment}/{segment}.zarr"),
        grids=verification_near_grids,
        statistics=results("states/statistics.zarr"),
    output:
        departures=directory(results("scores/{experiment}/departures/{segment}.zarr")),
    resources:
        **request("verification_departures_part"),
    params:
        coefficients=coefficients(verification_computable()),
        sources=verification_computable(),
        instruments=[sources.load_source(name).instrument for name in verification_computable()],
        period=verification_days,
        regions=CONFIG.verification.regions,
        seed=CONFIG.seed,
    script:
        "../scripts/verification_departures_part.py"


rule verification_departures:
    input:
        parts=verification_parts(rules.verification_departures_part.output.departures),
    output:
        scores=results("{scores}/{experiment}/departures.parquet"),
    resources:
        **request("verification_departures"),
    params:
        **verification_resampling(),
        experiment="{experiment}",
        sources=verification_computable(),
        completeness=completeness("cases"),
    script:
        "../scripts/verification_departures.py"


rule verification_observations:
    input:
        table=results("observations/{source}/{segment}.parquet"),
        statistics=results("states/statistics.zarr"),
    output:
        table=results("scores/observed/{source}/{segment}.parquet"),
    resources:
        **request("verification_observations"),
    params:
        source="{source}",
        dates=observations_dates,
        seed=CONFIG.seed,
    script:
        "../scripts/verification_observations.py"


rule verification_observed_part:
    input:
        observations=verification_observed_tables,
        forecasts=verification_observed_forecasts,
        analyses=verification_observed_analyses,
        era5=verification_valid_states("era5"),
        climatology=verification_climatology(),
        statistics=results("states/statistics.zarr"),
    output:
        sums=directory(results("scores/observed/{segment}.zarr")),
    resources:
        **request("verification_observed_part"),
    params:
        coefficients=coefficients(verification_observed_sources()),
        sources=verification_observed_sources(),
        systems=verification_observed_systems(),
        period=dates_in(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        leads=verification_observed_leads(),
        regions=CONFIG.verification.regions,
    script:
        "../scripts/verification_observed_part.py"


rule verification_observed:
    input:
        parts=segments_of(rules.verification_observed_part.output.sums, CONFIG.periods.test),
    output:
        scores=results("scores/observed.parquet"),
    resources:
        **request("verification_observed"),
    params:
        sources=verification_observed_sources(),
        completeness=completeness("cases"),
    script:
        "../scripts/verification_observed.py"


rule verification_structure_part:
    input:
        forecasts=verification_structure_forecasts,
        analyses=verification_structure_analyses,
        reference=verification_valid_states(verification_last_reference()),
    output:
        cases=directory(results("scores/structure/{segment}.zarr")),
    resources:
        **request("verification_structure_part"),
    params:
        systems=verification_structure_systems(),
        period=dates_in(CONFIG.periods.test),
        init_hours=CONFIG.cycling.init_hours,
        leads=verification_structure_leads(),
    script:
        "../scripts/verification_structure_part.py"


rule verification_structure:
    input:
        parts=segments_of(rules.verification_structure_part.output.cases, CONFIG.periods.test),
    output:
        spectra=results("scores/spectra.parquet"),
        balance=results("scores/balance.parquet"),
    resources:
        **request("verification_structure"),
    params:
        reference=verification_last_reference(),
        completeness=completeness("cases"),
    script:
        "../scripts/verification_structure.py"


rule verification_comparisons:
    input:
        own=lambda wildcards: verification_cases(wildcards.scores, wildcards.experiment),
        others=verification_other_cases,
    output:
        scores=results("{scores}/{experiment}/comparisons.parquet"),
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
            results("{scores}/baselines.parquet"),
            *expand(
                results("{{scores}}/{experiment}/{kind}.parquet"),
                experiment=CONFIG.cycled_experiments,
                kind=["analyses", "departures"],
            ),
            *expand(
                results("{{scores}}/{experiment}/forecasts.parquet"),
                experiment=CONFIG.forecasting_experiments,
            ),
            *expand(
                results("{{scores}}/{experiment}/comparisons.parquet"),
                experiment=CONFIG.comparisons,
            ),
        ],
    output:
        scores=results("{scores}/scores.parquet"),
    resources:
        **request("verification_scores"),
    script:
        "../scripts/verification_scores.py"


rule verification_seeds:
    input:
        scores=rules.verification_scores.output.scores,
    output:
        spread=results("{scores}/seeds.parquet"),
    resources:
        **request("verification_seeds"),
    params:
        trainings=CONFIG.seeds,
    script:
        "../scripts/verification_seeds.py"


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


rule validation:
    input:
        verification_tables("validation") if CONFIG.periods.validation else [],
    localrule: True


rule verification:
    input:
        rules.validation.input,
        verification_tables("scores"),
        rules.verification_acceptance.output,
        rules.verification_observed.output if verification_observed_sources() else [],
        rules.verification_structure.output,
        expand(rules.verification_maps.output.maps, experiment=CONFIG.forecasting_experiments),
        expand(results("scores/{name}/cycle.parquet"), name=CONFIG.cycled_experiments),
        expand(results("scores/{name}/observations.parquet"), name=CONFIG.cycled_experiments),
    localrule: True
