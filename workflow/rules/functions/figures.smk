"""Lookups of the rules of the figures: their files, what they are drawn from, which are drawn."""

from fuxiflow.config import figure_inputs

# by figure, in the order of the papers: its category and title in the report
FIGURES = {
    "system": ("System", "data flow"),
    "coverage": ("Observations", "coverage"),
    "cycling": ("Analyses", "errors through the cycle"),
    "analysis_error": ("Analyses", "profiles of analysis error"),
    "surface_error": ("Analyses", "analysis error near the ground"),
    "increment_case": ("Analyses", "increment of one analysis"),
    "hybrid_training": ("Analyses", "real and hybrid training"),
    "unrolling": ("Analyses", "unrolled cycles in training"),
    "skill_vs_lead": ("Forecasts", "skill against lead time"),
    "cutoff": ("Forecasts", "skill by cut-off"),
    "region_africa": ("Forecasts", "skill in central Africa"),
    "activity": ("Forecasts", "activity against lead time"),
    "scorecard_era5": ("Forecasts", "scorecard against ERA5"),
    "scorecard_own": ("Forecasts", "scorecard against own analyses"),
    "scorecard_era5_acc": ("Forecasts", "scorecard against ERA5, ACC"),
    "scorecard_own_acc": ("Forecasts", "scorecard against own analyses, ACC"),
    "error_maps": ("Forecasts", "maps of the mean error"),
    "spectra": ("Forecasts", "power by wavenumber"),
    "balance": ("Forecasts", "geostrophic and hydrostatic balance"),
    "seeds": ("Forecasts", "spread over seeds"),
    "obs_departures": ("Forecasts", "departures from observations"),
    "typhoon": ("Forecasts", "tracks of cyclones"),
    "obs_loss_weights": ("System", "weights of observations in the loss"),
    "background_filter": ("Analyses", "filter of backgrounds"),
    "iasi_selection": ("Observations", "selected channels of IASI"),
    "costs": ("System", "costs"),
}

# by scorecard: reference and metric
SCORECARDS = {
    "era5": ("era5", "rmse"),
    "own": ("own", "rmse"),
    "era5_acc": ("era5", "acc"),
    "own_acc": ("own", "acc"),
}
FIGURES_REGION = "central_africa"


def figures_drawn():
    """Return the figures that the configuration has the experiments and references for."""
    main_sources = CONFIG.resolve(figures_main()).sources
    drawn = {
        "coverage": main_sources,
        "region_africa": FIGURES_REGION in CONFIG.verification.regions,
        **{
            f"scorecard_{card}": figure_inputs.compared_system(CONFIG, reference)
            for card, (reference, _) in SCORECARDS.items()
        },
        "obs_departures": [
            name for name in verification_observed_sources() if not figures_is_sounder(name)
        ],
        "typhoon": CONFIG.cyclones,
        "seeds": {*CONFIG.seeds} & {*CONFIG.forecasting_experiments}
        and any(CONFIG.resolve(name).seeds_forecast for name in CONFIG.seeds),
        "hybrid_training": CONFIG.figures.hybrid_training,
        "unrolling": CONFIG.figures.unrolling,
        "cutoff": figure_inputs.data_ends(CONFIG),
        "obs_loss_weights": figure_inputs.joint_experiment(CONFIG),
        "background_filter": figures_filter_response(),
        "iasi_selection": figures_jacobians(),
    }
    return [name for name in FIGURES if drawn.get(name, True)]


def figures_is_sounder(name):
    """Return whether a source measures radiances."""
    return any(channel.radiance for channel in sources.load_source(name).channels)


def figures_land_stations():
    """Return the sources of land stations among those that systems are compared with."""
    names = verification_observed_sources()
    return [name for name in names if sources.load_source(name).group == "land_stations"]


def figures_made(*kinds):
    """Return the files of the figures that are drawn, by default all of each."""
    path = results("figures/{name}.{kind}")
    return expand(path, name=figures_drawn(), kind=kinds or ("pdf", "png", "csv"))


def figures_compared(card):
    """Return the system that a scorecard compares with."""
    return figure_inputs.compared_system(CONFIG, SCORECARDS[card][0])


def figures_files(name):
    """Return the outputs of a figure: as PDF, as PNG for the report, and its table as CSV.

    The scorecards, ``scorecard_{card}``, are those of one rule.
    """
    stem, _, card = name.partition("_{")
    category, title = FIGURES[f"{stem}_era5" if card else name]

    def labels(wildcards):
        return {"figure": FIGURES[name.format(**dict(wildcards.items()))][1] if card else title}

    return {
        "pdf": results(f"figures/{name}.pdf"),
        "png": report(
            results(f"figures/{name}.png"),
            caption=f"../report/{stem}.rst",
            category=category,
            labels=labels,
        ),
        "csv": results(f"figures/{name}.csv"),
    }


def figures_filter_response():
    """Return the table of the main experiment's filter of backgrounds in a list, or none."""
    name = CONFIG.weights_of(figures_main())
    if CONFIG.resolve(name).training.background_filter is None:
        return []
    made_by = CONFIG.trained_by(name, "background_filter")
    return [results(f"models/{made_by}/background_filter.parquet")]


def figures_jacobians():
    """Return the table of Jacobians that channels are selected by, in a list, or none."""
    selection = CONFIG.figures.channel_selection
    return [selection.jacobians] if selection else []


def figures_main():
    """Return the experiment that most figures are about."""
    return CONFIG.figures.experiments[0]


def figures_assimilating():
    """Return the main experiment and those of the figures that assimilate observations."""
    main, *others = CONFIG.figures.experiments
    return [main, *(name for name in others if CONFIG.resolve(name).sources)]


def figures_references():
    """Return the references that errors are drawn against, the truth last."""
    return figure_inputs.error_references(CONFIG)


def figures_case_grids(experiment):
    """Return the sparse grids that the windows of an experiment about the case touch."""
    segments_by_source = figure_inputs.case_grids(CONFIG, windows(experiment))
    return [
        results(f"grids/{source}/{segment}.zarr")
        for source, segments in segments_by_source.items()
        for segment in segments
    ]


def figures_case_analyses(experiment):
    """Return the analyses of an experiment that hold the case."""
    return [results(f"analyses/{experiment}/{figure_inputs.case_segment(CONFIG)}.zarr")]


def figures_case_states(reference):
    """Return the states of a reference that hold the case; none of one that is not used."""
    if reference not in figures_references():
        return []
    return results(f"states/{reference}/{figure_inputs.case_segment(CONFIG)}.zarr")


def figures_response():
    """Return the response to one perturbed observation, where one is perturbed."""
    return [results(f"analyses/{figures_main()}/response.zarr")] if CONFIG.perturbation else []
