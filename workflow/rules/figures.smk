"""Figures: a rule for each one, drawn from stored tables and fields; `figures` makes all."""


report: "../report/workflow.rst"


rule figure_system:
    output:
        **figures_files("system"),
    resources:
        **request("figure_system"),
    params:
        settings=figure_inputs.diagram_settings(CONFIG, figures_main(), WORLD),
    script:
        "../scripts/figure_system.py"


rule figure_coverage:
    input:
        grids=figures_case_grids(figures_main()),
    output:
        **figures_files("coverage"),
    resources:
        **request("figure_coverage"),
    params:
        case=CONFIG.case.isoformat(),
        windows=windows(figures_main()),
        infill_radius=CONFIG.figures.infill_radius,
    script:
        "../scripts/figure_coverage.py"


rule figure_cycling:
    input:
        cycles=expand(results("scores/{name}/cycle.parquet"), name=CONFIG.figures.experiments),
        observations=results(f"scores/{figures_main()}/observations.parquet"),
    output:
        **figures_files("cycling"),
    resources:
        **request("figure_cycling"),
    params:
        main=figures_main(),
        reference=figures_references()[-1],
        test_start=str(CONFIG.periods.test.start),
    script:
        "../scripts/figure_cycling.py"


rule figure_analysis_error:
    input:
        scores=results("scores/scores.parquet"),
        baselines=results("scores/baselines.parquet"),
    output:
        **figures_files("analysis_error"),
    resources:
        **request("figure_analysis_error"),
    params:
        experiments=figures_assimilating(),
        references=figures_references(),
    script:
        "../scripts/figure_analysis_error.py"


rule figure_surface_error:
    input:
        scores=results("scores/scores.parquet"),
        baselines=results("scores/baselines.parquet"),
    output:
        **figures_files("surface_error"),
    resources:
        **request("figure_surface_error"),
    params:
        experiments=figures_assimilating(),
        reference=figures_references()[-1],
    script:
        "../scripts/figure_surface_error.py"


rule figure_skill_vs_lead:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("skill_vs_lead"),
    resources:
        **request("figure_skill_vs_lead"),
    params:
        experiment=figures_main(),
        reference=figures_references()[-1],
        false_discovery_rate=CONFIG.figures.false_discovery_rate,
    script:
        "../scripts/figure_skill_vs_lead.py"


rule figure_region_africa:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("region_africa"),
    resources:
        **request("figure_region_africa"),
    params:
        experiment=figures_main(),
        reference=figures_references()[-1],
        region=FIGURES_REGION,
        false_discovery_rate=CONFIG.figures.false_discovery_rate,
    script:
        "../scripts/figure_region_africa.py"


rule figure_activity:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("activity"),
    resources:
        **request("figure_activity"),
    params:
        experiment=figures_main(),
        reference=figures_references()[-1],
        relative_to=CONFIG.figures.activity_relative_to,
    script:
        "../scripts/figure_activity.py"


rule figure_scorecard:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("scorecard_{card}"),
    wildcard_constraints:
        card="|".join(SCORECARDS),
    resources:
        **request("figure_scorecard"),
    params:
        experiment=figures_main(),
        other=lambda wildcards: figures_compared(wildcards.card),
        reference=lambda wildcards: SCORECARDS[wildcards.card][0],
        metric=lambda wildcards: SCORECARDS[wildcards.card][1],
        false_discovery_rate=CONFIG.figures.false_discovery_rate,
    script:
        "../scripts/figure_scorecard.py"


rule figure_obs_departures:
    input:
        scores=results("scores/observed.parquet"),
    output:
        **figures_files("obs_departures"),
    resources:
        **request("figure_obs_departures"),
    params:
        main=figures_main(),
        stations=figures_land_stations(),
        withheld=", ".join(CONFIG.verification.withheld) or "none here",
    script:
        "../scripts/figure_obs_departures.py"


rule figure_spectra:
    input:
        spectra=results("scores/spectra.parquet"),
    output:
        **figures_files("spectra"),
    resources:
        **request("figure_spectra"),
    params:
        experiment=figures_main(),
    script:
        "../scripts/figure_spectra.py"


rule figure_balance:
    input:
        balance=results("scores/balance.parquet"),
    output:
        **figures_files("balance"),
    resources:
        **request("figure_balance"),
    params:
        experiment=figures_main(),
    script:
        "../scripts/figure_balance.py"


rule figure_typhoon:
    input:
        errors=results("cyclones/errors.parquet"),
        scores=results("cyclones/scores.parquet"),
    output:
        **figures_files("typhoon"),
    resources:
        **request("figure_typhoon"),
    params:
        main=figures_main(),
        drawn_storms=CONFIG.cyclones.drawn_storms if CONFIG.cyclones else 0,
    script:
        "../scripts/figure_typhoon.py"


rule figure_seeds:
    input:
        spread=results("scores/seeds.parquet"),
    output:
        **figures_files("seeds"),
    resources:
        **request("figure_seeds"),
    params:
        reference=figures_references()[-1],
    script:
        "../scripts/figure_seeds.py"


rule figure_increment_case:
    input:
        analyses=figures_case_analyses(figures_main()),
        era5=figures_case_states("era5"),
        truth=figures_case_states("truth"),
        response=figures_response(),
    output:
        **figures_files("increment_case"),
    resources:
        **request("figure_increment_case"),
    params:
        case=CONFIG.case.isoformat(),
    script:
        "../scripts/figure_increment_case.py"


rule figure_error_maps:
    input:
        maps=results(f"scores/{figures_main()}/maps.zarr"),
    output:
        **figures_files("error_maps"),
    resources:
        **request("figure_error_maps"),
    params:
        reference=figures_references()[-1],
    script:
        "../scripts/figure_error_maps.py"


rule figure_hybrid_training:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("hybrid_training"),
    resources:
        **request("figure_hybrid_training"),
    params:
        experiments=CONFIG.figures.hybrid_training or [],
        references=figures_references(),
    script:
        "../scripts/figure_hybrid_training.py"


rule figure_unrolling:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("unrolling"),
    resources:
        **request("figure_unrolling"),
    params:
        labels=figure_inputs.unrolled_cycles(CONFIG),
        reference=figures_references()[-1],
    script:
        "../scripts/figure_unrolling.py"


rule figure_cutoff:
    input:
        scores=results("scores/scores.parquet"),
    output:
        **figures_files("cutoff"),
    resources:
        **request("figure_cutoff"),
    params:
        data_end=figure_inputs.data_ends(CONFIG),
        reference=figures_references()[-1],
    script:
        "../scripts/figure_cutoff.py"


rule figure_obs_loss_weights:
    output:
        **figures_files("obs_loss_weights"),
    resources:
        **request("figure_obs_loss_weights"),
    params:
        experiment=figure_inputs.joint_experiment(CONFIG),
        observed=figure_inputs.compared_channels(CONFIG),
        weight=figure_inputs.compared_weight(CONFIG),
    script:
        "../scripts/figure_obs_loss_weights.py"


rule figure_background_filter:
    input:
        response=figures_filter_response(),
    output:
        **figures_files("background_filter"),
    resources:
        **request("figure_background_filter"),
    script:
        "../scripts/figure_background_filter.py"


rule figure_iasi_selection:
    input:
        jacobians=figures_jacobians(),
    output:
        **figures_files("iasi_selection"),
    resources:
        **request("figure_iasi_selection"),
    params:
        **figure_inputs.selection_settings(CONFIG),
    script:
        "../scripts/figure_iasi_selection.py"


rule figure_costs:
    input:
        made=rules.verification.input,
        cyclones=rules.cyclones.input,
        # made before, but a figure drawn anew is no news here
        figures=ancient(
            [path for path in figures_made("pdf") if path != results("figures/costs.pdf")]
        ),
    output:
        **figures_files("costs"),
        jobs=results("costs.parquet"),
    resources:
        **request("figure_costs"),
    params:
        benchmarks=results("benchmarks"),
        experiments=list(CONFIG.experiments),
    script:
        "../scripts/figure_costs.py"


rule figures:
    input:
        figures_made(),
        rules.figure_costs.output.jobs,
    localrule: True
