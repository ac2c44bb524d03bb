"""What sections of the configuration demand of one another, checked before any job."""

from typing import TYPE_CHECKING

from fuxiflow import channels, times
from fuxiflow.config import network_sizes, simulation, sources
from fuxiflow.config.base import Period
from fuxiflow.config.evaluation import BASELINES
from fuxiflow.config.experiment import Experiment
from fuxiflow.grids import REGIONS

if TYPE_CHECKING:
    from fuxiflow.config.configuration import Config

RESERVED = {"era5", "truth", "background", *BASELINES}  # what is compared with, besides experiments


def check(config: "Config") -> None:
    """All checks that compare sections with one another; ValueError names the key and the allowed values."""
    _check_periods(config)
    if not config.experiments:
        raise ValueError("experiments: none given, allowed: at least one name")
    _check_simulation(config)
    for name in config.experiments:
        if name in RESERVED:
            raise ValueError(
                f"experiments.{name}: the name is taken, allowed: others than {sorted(RESERVED)}"
            )
        _check_experiment(config, name)
    _check_world(config)
    _check_verification(config)
    _check_figures(config)


def _check_periods(config: "Config") -> None:
    p = config.periods
    if p.test.overlaps(p.training):
        raise ValueError(
            f"periods.test: {p.test.start}..{p.test.end} overlaps periods.training, "
            f"allowed: after {p.training.end}"
        )
    if not (p.training.start <= p.observations.start and p.observations.end <= p.training.end):
        raise ValueError(
            f"periods.observations: {p.observations.start}..{p.observations.end}, "
            f"allowed: inside periods.training, {p.training.start}..{p.training.end}"
        )
    if not p.training.end < p.cold_start <= p.test.start:
        raise ValueError(
            f"periods.cold_start: {p.cold_start}, "
            f"allowed: after {p.training.end} up to {p.test.start}"
        )
    label = times.segment(p.cold_start, config.segment_months)
    if label == times.segment(p.training.end, config.segment_months):
        raise ValueError(
            f"periods.cold_start: {p.cold_start} shares segment {label} with the training period, "
            f"allowed: from the next segment on, or a smaller segment_months"
        )


def _check_verification(config: "Config") -> None:
    verification = config.verification
    if config.kind == "archive" and "truth" in verification.references:
        raise ValueError(
            "verification.references: 'truth' is of the embedded world alone, allowed: era5, own"
        )
    for name in verification.regions:
        _known("verification.regions", name, REGIONS)
    if "global" not in verification.regions:
        raise ValueError(
            "verification.regions: 'global' is missing, allowed: any with 'global' among them, "
            "which the figures show"
        )
    if not {"era5", "truth"} & set(verification.references):
        raise ValueError(
            f"verification.references: {verification.references}, allowed: any with 'era5' or "
            f"'truth' among them, which the figures show"
        )
    for name, others in verification.comparisons.items():
        for compared in (name, *others):
            _known(f"verification.comparisons.{name}", compared, config.experiments)


def _check_simulation(config: "Config") -> None:
    within = config.periods.observations
    for name, chosen in config.simulation.items():
        _known("simulation", name, sources.source_names())
        source = sources.load_source(name)
        if not source.profile and source.instrument not in simulation.instruments_with_operator():
            raise ValueError(
                f"simulation.{name}: no observation operator for {source.instrument}, allowed: "
                f"profiles at heights, {', '.join(simulation.instruments_with_operator())}"
            )
        if chosen.geometry == "orbits" and (source.profile or not source.flown):
            raise ValueError(
                f"simulation.{name}.geometry: {name} has no platform with an orbit to scan from, "
                f"allowed: template, drawn"
            )
        for key in ("period", "template"):
            _inside(
                f"simulation.{name}.{key}", getattr(chosen, key), within, "periods.observations"
            )


def _inside(key: str, part: Period, whole: Period, name: str) -> None:
    if not whole.start <= part.start <= part.end <= whole.end:
        raise ValueError(
            f"{key}: {part.start}..{part.end}, allowed: inside {name}, {whole.start}..{whole.end}"
        )


def _check_world(config: "Config") -> None:
    for section in sources.SECTIONS:
        for name, observing in getattr(config.world, section).items():
            _known(f"world.{section}", name, sources.source_names())
            source = sources.load_source(name)
            if source.simulated_as != section:
                raise ValueError(
                    f"world.{section}: {name} is not observed so, allowed: "
                    f"{source.simulated_as or 'sources that the embedded world can make'}"
                )
            flown = [platform.name for platform in source.flown]
            for platform in getattr(observing, "platforms", None) or []:
                _known(f"world.{section}.{name}.platforms", platform, flown)
            begins = observing.start or config.periods.observations.start
            if name in config.sources and begins > config.periods.observations.end:
                raise ValueError(
                    f"world.{section}.{name}.start: {begins}, allowed: up to "
                    f"{config.periods.observations.end}, as limits and statistics come from "
                    f"periods.observations"
                )


def _check_figures(config: "Config") -> None:
    figures = config.figures
    for name in figures.experiments:
        _known("figures.experiments", name, config.cycled_experiments)
    for name in figures.hybrid_training or ():
        _known("figures.hybrid_training", name, config.cycled_experiments)
    for name in figures.unrolling:
        _known("figures.unrolling", name, config.cycled_experiments)
    if len(figures.unrolling) == 1:
        raise ValueError(
            f"figures.unrolling: {figures.unrolling}, allowed: none, or two and more to compare"
        )
    if not (figures.experiments and config.resolve(figures.experiments[0]).forecasts):
        raise ValueError(
            f"figures.experiments: {figures.experiments}, allowed: first one with forecasts, of "
            f"{', '.join(config.forecasting_experiments) or 'which there is none'}"
        )
    config.perturbation  # noqa: B018, raises where it cannot be made
    for name in figures.map_channels:
        _known("figures.map_channels", name, channels.channel_table().names)
    beyond = [
        lead
        for lead in figures.map_leads
        if not 0 < lead <= config.cycling.max_lead_hours or lead % 6
    ]
    if beyond:
        raise ValueError(
            f"figures.map_leads: {beyond[0]} h was not forecast, allowed: multiples of 6 "
            f"up to cycling.max_lead_hours = {config.cycling.max_lead_hours}"
        )
    allowed = times.times(config.periods.test.start, config.periods.test.end)
    if config.case not in allowed:
        raise ValueError(
            f"figures.case: {figures.case!r} is no analysis time of the test period, allowed: "
            f"every {times.STEP_HOURS} h from {allowed[0]} to {allowed[-1]}"
        )


def _check_experiment(config: "Config", name: str) -> None:
    experiment = config.resolve(name)
    observed = experiment.training.joint.observation_loss.sources
    for key, named in (
        ("sources", experiment.sources),
        ("training.joint.observation_loss.sources", observed),
    ):
        for source in named:
            _known(f"experiments.{name}.{key}", source, sources.source_names())
            described = sources.load_source(source)
            if config.kind == "embedded" and described.reader not in sources.SIMULATED:
                raise ValueError(
                    f"experiments.{name}.{key}: {source} has reader {described.reader!r}, whose files "
                    f"the embedded world does not write, allowed: {', '.join(sources.SIMULATED)}"
                )
            if config.kind == "embedded" and described.simulated_as is None:
                raise ValueError(
                    f"experiments.{name}.{key}: {source} has no platform with an orbit, which the "
                    f"embedded world needs, allowed: sources whose file gives one"
                )
    _check_simulated(config, name, experiment)
    _check_observation_loss(name, experiment)
    if experiment.weights is not None:
        _known(f"experiments.{name}.weights", experiment.weights, config.experiments)
        if experiment.weights not in config.trained_experiments:
            raise ValueError(
                f"experiments.{name}.weights: {experiment.weights} has no networks of its own"
            )
    _check_stages(config, name, experiment)
    _check_forecaster(config, name, experiment)
    model = experiment.model.model_dump()
    if config.uses_networks(name) and (
        why := network_sizes.size_misfit(**config.grid.model_dump(), **model)
    ):
        raise ValueError(f"experiments.{name}.model.{why}")


def _check_simulated(config: "Config", name: str, experiment: Experiment) -> None:
    shared = {} if experiment.weights else experiment.training.simulated
    for source, shares in shared.items():
        key = f"experiments.{name}.training.simulated"
        _known(key, source, set(experiment.sources) & set(config.simulation))
        for number, share in enumerate(shares):
            _inside(
                f"{key}.{source}",
                share,
                config.simulation[source].period,
                f"simulation.{source}.period",
            )
            if any(share.overlaps(other) for other in shares[:number]):
                raise ValueError(
                    f"{key}.{source}: {share.start}..{share.end} shares days with another entry, "
                    f"allowed: one share a day"
                )


def _check_observation_loss(name: str, experiment: Experiment) -> None:
    loss = experiment.training.joint.observation_loss
    state = set(channels.channel_table().analysed.names)
    for source in loss.sources:
        if state.isdisjoint(sources.load_source(source).channel_names):
            raise ValueError(
                f"experiments.{name}.training.joint.observation_loss.sources: {source} measures no "
                f"channel of the state, allowed: stations, ships, radiosondes"
            )
    for source in [] if experiment.weights else loss.radiances:
        key = f"experiments.{name}.training.joint.observation_loss.radiances"
        _known(key, source, experiment.sources)
        if sources.load_source(source).instrument not in simulation.instruments_with_operator():
            raise ValueError(
                f"{key}: there is no observation operator for {source}, allowed: sources of "
                f"{', '.join(simulation.instruments_with_operator())}"
            )


def _check_stages(config: "Config", name: str, experiment: Experiment) -> None:
    training = config.resolve(config.weights_of(name)).training
    cycled = [*training.stages, *(["replay"] if training.replay else [])]
    for key, trained in (("analyses_after", cycled), ("forecasts_after", training.stages)):
        if (stage := getattr(experiment, key)) is not None:
            _known(f"experiments.{name}.{key}", stage, trained)


def _check_forecaster(config: "Config", name: str, experiment: Experiment) -> None:
    if experiment.initial is not None:
        _known(
            f"experiments.{name}.initial", experiment.initial, ["gfs", *config.cycled_experiments]
        )
        if not experiment.forecasts:
            raise ValueError(
                f"experiments.{name}.forecasts: false, allowed: true, as with 'initial' an experiment "
                f"makes nothing else"
            )
    if experiment.forecaster is not None:
        models, steps = len(experiment.forecaster.onnx), experiment.forecaster.steps
        reach = models * steps * times.STEP_HOURS
        if reach < config.cycling.max_lead_hours:
            raise ValueError(
                f"experiments.{name}.forecaster.onnx: {models} of {steps} steps reach {reach} h, "
                f"allowed: at least cycling.max_lead_hours = {config.cycling.max_lead_hours}"
            )


def _known(key: str, value: str, allowed) -> None:
    if value not in allowed:
        raise ValueError(f"{key}: unknown {value!r}, allowed: {', '.join(sorted(allowed))}")
