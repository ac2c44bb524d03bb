"""Demands that sections of the configuration make on one another, checked before any job.

Each check yields all mistakes it sees: key, value, what is allowed.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fuxiflow import channels, times
from fuxiflow.config import network_sizes, simulation, sources
from fuxiflow.config.archives import load_archives
from fuxiflow.config.base import Period, complaints, unknown
from fuxiflow.config.cyclones import systems_with_forecasts
from fuxiflow.config.evaluation import BASELINES, is_address
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.experiment_checks import background_mistakes, window_mistakes
from fuxiflow.grids import REGIONS

if TYPE_CHECKING:
    from fuxiflow.config.configuration import Config

# names in the score table of what experiments are compared with
RESERVED = {"era5", "truth", "background", *BASELINES}


def cross_section_mistakes(config: "Config") -> Iterator[str]:
    """Yield a line for each mistake: the key, its value, and what is allowed."""
    yield from _archives(config)
    yield from _periods(config)
    yield from _simulated_sources(config)
    yield from _observed_world(config)
    yield from _scores(config)
    yield from _scored_channels(config)
    yield from _systems(config)
    yield from _withheld(config)
    for name in config.completeness.sources:
        yield from _one_of("completeness.sources", name, sources.source_names())
    if not config.experiments:
        yield "experiments: none given, allowed: at least one name"
        return  # what follows is about experiments
    broken = dict(_broken_experiments(config))
    for lines in broken.values():
        yield from lines
    # Experiments refer to one another, so what follows needs all of them to be valid: a broken one
    # stands for the default experiment meanwhile.
    overrides = {name: config.experiments[name] for name in config.experiments}
    whole = config.model_copy(update={"experiments": overrides | dict.fromkeys(broken)})
    yield from _lateness(whole)
    yield from _experiments(whole, broken)
    yield from _compared_experiments(whole)
    yield from _cyclones(whole)
    yield from _figures(whole)


def _archives(config: "Config") -> Iterator[str]:
    if config.archives:
        try:
            load_archives(changes=config.archives)
        except ValueError as error:
            yield from str(error).split("\n")


def _periods(config: "Config") -> Iterator[str]:
    p = config.periods
    if p.test.overlaps(p.training):
        yield (
            f"periods.test: {p.test.start}..{p.test.end} overlaps periods.training, "
            f"allowed: after {p.training.end}"
        )
    yield from _inside("periods.observations", p.observations, p.training, "periods.training")
    yield from _validation(config)
    if not p.training.end < p.cold_start <= p.first_scored:
        yield (
            f"periods.cold_start: {p.cold_start}, "
            f"allowed: after {p.training.end} up to {p.first_scored}"
        )
        return  # the segment is wrong for the same reason
    label = times.segment(p.cold_start, config.segment_months)
    if label == times.segment(p.training.end, config.segment_months):
        yield (
            f"periods.cold_start: {p.cold_start} shares segment {label} with the training period, "
            f"allowed: from the next segment on, or a smaller segment_months"
        )
    hours = config.cycling.init_hours
    if p.cold_start == p.test.end and max(hours) < times.STEP_HOURS:
        yield (
            f"cycling.init_hours: {hours} on {p.test.end}, the day of the cold start: a forecast "
            f"starts from two analyses, allowed: one from {times.STEP_HOURS} UTC on, or a later "
            "periods.test.end"
        )


def _validation(config: "Config") -> Iterator[str]:
    """Check that validation knows neither what was trained on nor anything of the test."""
    p = config.periods
    if p.validation is None:
        return
    days = f"{p.validation.start}..{p.validation.end}"
    if p.validation.overlaps(p.training):
        yield (
            f"periods.validation: {days} overlaps periods.training, allowed: after {p.training.end}"
        )
    if p.validation.end >= p.test.start:
        yield (
            f"periods.validation: {days}, allowed: before periods.test, "
            f"which starts on {p.test.start}"
        )
        return  # the segments are wrong for the same reason
    reach = p.validation.end + timedelta(hours=24 * -(-config.cycling.max_lead_hours // 24))
    label = config.segments(Period(start=p.validation.start, end=reach))[-1]
    if label in config.segments(p.test):
        yield (
            f"periods.validation: {days}: its forecasts are valid until {reach}, in segment "
            f"{label} of the test, allowed: an end so early that they are valid in segments "
            f"before, a later periods.test, or a smaller segment_months"
        )


def _scored_channels(config: "Config") -> Iterator[str]:
    names = config.verification.channels
    if names != "all":
        for name in names:
            yield from _one_of("verification.channels", name, channels.channel_table().names)
    elif config.cycling.keep_forecasts == "scored":
        yield (
            "cycling.keep_forecasts: scored keeps all channels while verification.channels is all, "
            "allowed with a list there; [] scores those that figures draw"
        )


def _scores(config: "Config") -> Iterator[str]:
    verification = config.verification
    if config.kind == "archive" and "truth" in verification.references:
        yield "verification.references: 'truth' is of the embedded world alone, allowed: era5, own"
    for name in verification.regions:
        yield from _one_of("verification.regions", name, REGIONS)
    if "global" not in verification.regions:
        yield (
            "verification.regions: 'global' is missing, allowed: any with 'global' among them, "
            "which the figures show"
        )
    if not {"era5", "truth"} & set(verification.references):
        yield (
            f"verification.references: {verification.references}, allowed: any with 'era5' or "
            f"'truth' among them, which the figures show"
        )


def _systems(config: "Config") -> Iterator[str]:
    taken = {*RESERVED, "fuxiflow", "baseline", "analysis", *config.experiments}
    for name, system in config.verification.systems.items():
        key = f"verification.systems.{name}"
        if name in taken:
            yield f"{key}: the name is taken, allowed: others than {', '.join(sorted(taken))}"
        for store in filter(None, (system.forecasts, system.analyses)):
            yield from _public_store(config, key, store)
    if config.verification.climatology is not None:
        yield from _public_store(
            config, "verification.climatology", config.verification.climatology
        )


def _public_store(config: "Config", key: str, store: str) -> Iterator[str]:
    """Check the address or the folder of a store that scores are made with.

    Parameters
    ----------
    config : Config
        The configuration.
    key : str
        The key that names the store.
    store : str
        Its address, or the path of its folder.

    Yields
    ------
    str
        What is wrong with it.
    """
    if is_address(store) and config.kind == "embedded":
        yield (
            f"{key}: {store} is of the real atmosphere, allowed with kind: archive; the "
            "embedded world is compared with stores in folders"
        )
    elif not is_address(store) and not Path(store).is_dir():
        yield f"{key}: {store} is no folder, allowed: a Zarr store, or its address"


def _withheld(config: "Config") -> Iterator[str]:
    for name, withheld in config.verification.withheld.items():
        key = f"verification.withheld.{name}"
        names = sources.source_names()
        if name not in names:
            yield from _one_of("verification.withheld", name, names)
            continue
        source = sources.load_source(name)
        if withheld.share and not source.stationed:
            yield f"{key}.share: {name} has no stations, allowed: platforms"
        for platform in withheld.platforms:
            yield from _one_of(f"{key}.platforms", platform, source.platform_names)
        if set(source.platform_names) <= set(withheld.platforms):
            yield f"{key}.platforms: all that {name} has, allowed: some of them"


def _simulated_sources(config: "Config") -> Iterator[str]:
    within = config.periods.observations
    instruments = simulation.instruments_with_operator()
    for name, simulated in config.simulation.items():
        if name not in sources.source_names():
            yield unknown("simulation", name, sources.source_names())
            continue
        source = sources.load_source(name)
        if not source.profile and source.instrument not in instruments:
            yield (
                f"simulation.{name}: no observation operator for {source.instrument}, allowed: "
                f"profiles at heights, {', '.join(instruments)}"
            )
        if simulated.geometry == "orbits" and (source.profile or not source.flown):
            yield (
                f"simulation.{name}.geometry: {name} has no platform with an orbit to scan from, "
                f"allowed: template, drawn"
            )
        for key in ("period", "template"):
            yield from _inside(
                f"simulation.{name}.{key}", getattr(simulated, key), within, "periods.observations"
            )


def _inside(key: str, part: Period, whole: Period, name: str) -> Iterator[str]:
    """Check that a period lies inside another.

    Parameters
    ----------
    key : str
        Dotted key of the period.
    part, whole : Period
        The period, and the one around it.
    name : str
        Dotted key of the period around it.

    Yields
    ------
    str
        The mistake, where there is one.
    """
    if not whole.start <= part.start <= part.end <= whole.end:
        yield f"{key}: {part.start}..{part.end}, allowed: inside {name}, {whole.start}..{whole.end}"


def _observed_world(config: "Config") -> Iterator[str]:
    for section in sources.SECTIONS:
        for name, observing in getattr(config.world, section).items():
            if name not in sources.source_names():
                yield unknown(f"world.{section}", name, sources.source_names())
                continue
            source = sources.load_source(name)
            if source.simulated_as != section:
                yield (
                    f"world.{section}: {name} is not observed so, allowed: "
                    f"{source.simulated_as or 'sources that the embedded world can make'}"
                )
                continue
            flown = [platform.name for platform in source.flown]
            for platform in getattr(observing, "platforms", None) or []:
                yield from _one_of(f"world.{section}.{name}.platforms", platform, flown)


def _lateness(config: "Config") -> Iterator[str]:
    """Check that sources which an experiment uses begin before limits are made of them."""
    last = config.periods.observations.end
    for section in sources.SECTIONS:
        for name, observing in getattr(config.world, section).items():
            begins = observing.start or config.periods.observations.start
            if begins > last and name in config.sources:
                yield (
                    f"world.{section}.{name}.start: {begins}, allowed: up to {last}, as limits and "
                    f"statistics come from periods.observations"
                )


def _compared_experiments(config: "Config") -> Iterator[str]:
    for name, others in config.verification.comparisons.items():
        for compared in (name, *others):
            yield from _one_of(f"verification.comparisons.{name}", compared, config.experiments)


def _cyclones(config: "Config") -> Iterator[str]:
    """Check that cyclones can be tracked in the forecasts, and best tracks be had."""
    if (cyclones := config.cyclones) is None:
        return
    for level in cyclones.tracker.unknown_levels:
        allowed = ", ".join(map(str, channels.PRESSURE_LEVELS))
        yield f"cyclones.tracker: {level} hPa is no level of the state, allowed: {allowed}"
    if cyclones.max_lead_hours > config.cycling.max_lead_hours:
        yield (
            f"cyclones.max_lead_hours: {cyclones.max_lead_hours} h was not forecast, allowed: up "
            f"to cycling.max_lead_hours = {config.cycling.max_lead_hours}"
        )
    for name in cyclones.systems or []:
        yield from _one_of("cyclones.systems", name, systems_with_forecasts(config))
    if cyclones.best_tracks is not None:
        if not Path(cyclones.best_tracks).is_file():
            path = cyclones.best_tracks
            yield f"cyclones.best_tracks: {path} is no file, allowed: one of IBTrACS"
    elif config.kind == "archive" and load_archives(changes=config.archives).ibtracs is None:
        yield (
            "cyclones: config/archive.yaml has no ibtracs, from which best tracks are fetched, "
            "allowed with such a section there, or with cyclones.best_tracks"
        )


def _figures(config: "Config") -> Iterator[str]:
    figures = config.figures
    for key in ("experiments", "hybrid_training", "unrolling"):
        for name in getattr(figures, key) or ():
            yield from _one_of(f"figures.{key}", name, config.cycled_experiments)
    if len(figures.unrolling) == 1:
        yield f"figures.unrolling: {figures.unrolling}, allowed: none, or two and more to compare"
    yield from _main_experiment(config)
    if figures.activity_relative_to is not None:
        baselines = [name for name in config.verification.baselines if name != "climatology"]
        yield from _one_of(
            "figures.activity_relative_to",
            figures.activity_relative_to,
            [*baselines, *config.verification.systems],
        )
    for name in figures.map_channels:
        yield from _one_of("figures.map_channels", name, channels.channel_table().names)
    for lead in figures.map_leads:
        if not 0 < lead <= config.cycling.max_lead_hours or lead % times.STEP_HOURS:
            yield (
                f"figures.map_leads: {lead} h was not forecast, allowed: multiples of "
                f"{times.STEP_HOURS} up to cycling.max_lead_hours = {config.cycling.max_lead_hours}"
            )
    yield from _channel_selection(config)
    allowed = times.times(config.periods.test.start, config.periods.test.end)
    if config.case not in allowed:
        yield (
            f"figures.case: {figures.case!r} is no analysis time of the test period, allowed: "
            f"every {times.STEP_HOURS} h from {allowed[0]} to {allowed[-1]}"
        )


def _channel_selection(config: "Config") -> Iterator[str]:
    """Check the table that channels are selected by, and the source that is shown beside them."""
    selection = config.figures.channel_selection
    if selection is None:
        return
    key = "figures.channel_selection"
    yield from _one_of(f"{key}.source", selection.source, _infrared_sources())
    if not Path(selection.jacobians).exists():
        yield (
            f"{key}.jacobians: {selection.jacobians} is not there, allowed: a table of Jacobians, "
            "which a radiative transfer model outside this project makes"
        )


def _infrared_sources() -> list[str]:
    """Return the sources whose channels have wavenumbers, and numbers for names."""
    return [
        name
        for name in sources.source_names()
        if all(
            channel.wavenumber is not None and channel.name.isdigit()
            for channel in sources.load_source(name).channels
        )
    ]


def _main_experiment(config: "Config") -> Iterator[str]:
    """Check the first experiment of the figures and what is perturbed in its analysis."""
    names = config.figures.experiments
    if names and names[0] not in config.experiments:
        return  # said above
    if not (names and config.resolve(names[0]).forecasts):
        yield (
            f"figures.experiments: {names}, allowed: first one with forecasts, of "
            f"{', '.join(config.forecasting_experiments) or 'which there is none'}"
        )
    if names and set(config.resolve(names[0]).sources) <= set(sources.source_names()):
        try:
            config.perturbation  # noqa: B018, raises where it cannot be made
        except ValueError as error:
            yield str(error)


def _broken_experiments(config: "Config") -> Iterator[tuple[str, list[str]]]:
    """Yield each experiment that cannot be made of its overrides, with its mistakes."""
    for name in config.experiments:
        try:
            experiment = Experiment.model_validate(config.overridden(name))
        except ValidationError as error:
            yield name, complaints(error, Experiment, f"experiments.{name}")
            continue
        weights = experiment.weights
        if weights is not None and weights not in config.experiments:
            yield name, [unknown(f"experiments.{name}.weights", weights, config.experiments)]


def _experiments(config: "Config", broken: dict[str, list[str]]) -> Iterator[str]:
    """Check experiments one by one; what they inherit from ``experiment`` is told once."""
    inherited = set()
    for name in config.experiments:
        if name in RESERVED:
            yield (
                f"experiments.{name}: the name is taken, allowed: others than {sorted(RESERVED)}"
            )
        if name in broken:
            continue
        prefix = f"experiments.{name}."
        for line in _experiment(config, name):
            if line.removeprefix(prefix) not in inherited:
                yield line
            inherited.add(line.removeprefix(prefix))


def _experiment(config: "Config", name: str) -> Iterator[str]:
    experiment = config.resolve(name)
    yield from _experiment_sources(config, name)
    yield from _denials(config, name)
    yield from background_mistakes(name, experiment)
    yield from window_mistakes(name, experiment, config.resolve(config.weights_of(name)))
    yield from _simulated_days(config, name)
    yield from _observation_loss(config, name)
    if experiment.weights is not None and experiment.weights not in config.trained_experiments:
        yield f"experiments.{name}.weights: {experiment.weights} has no networks of its own"
    yield from _stages(config, name)
    yield from _assimilator(config, name)
    yield from _forecaster(config, name)
    if config.uses_networks(name):
        model = experiment.model.model_dump()
        if misfit := network_sizes.size_misfit(**config.grid.model_dump(), **model):
            yield f"experiments.{name}.model.{misfit}"


def _experiment_sources(config: "Config", name: str) -> Iterator[str]:
    """Check that the sources of an experiment are there and can be made."""
    experiment = config.resolve(name)
    compared = experiment.training.joint.observation_loss.sources
    for key, names in (
        ("sources", experiment.sources),
        ("training.joint.observation_loss.sources", compared),
    ):
        for source in names:
            if source not in sources.source_names():
                yield unknown(f"experiments.{name}.{key}", source, sources.source_names())
                continue
            described = sources.load_source(source)
            if config.kind == "embedded" and described.reader not in sources.SIMULATED:
                yield (
                    f"experiments.{name}.{key}: {source} has reader {described.reader!r}, whose "
                    f"files the embedded world does not write, allowed: "
                    f"{', '.join(sources.SIMULATED)}"
                )
            elif config.kind == "embedded" and described.simulated_as is None:
                yield (
                    f"experiments.{name}.{key}: {source} has no platform with an orbit, which the "
                    f"embedded world needs, allowed: sources whose file gives one"
                )


def _denials(config: "Config", name: str) -> Iterator[str]:
    """Check the sources without which an experiment is made again."""
    experiment = config.resolve(name)
    if experiment.denied and experiment.initial is not None:
        yield (
            f"experiments.{name}.denial: with 'initial' nothing is assimilated, allowed: none, or "
            f"an experiment that makes analyses"
        )
    for source in experiment.denied:
        yield from _one_of(f"experiments.{name}.denial", source, experiment.sources)
    for source in experiment.retrained:
        yield from _one_of(f"experiments.{name}.retrained", source, experiment.denied)


def _simulated_days(config: "Config", name: str) -> Iterator[str]:
    """Check the days on which an experiment trains on simulated observations."""
    experiment = config.resolve(name)
    key = f"experiments.{name}.training.simulated"
    simulated = {} if experiment.weights else experiment.training.simulated
    for source, shares in simulated.items():
        allowed = set(experiment.sources) & set(config.simulation)
        if source not in allowed:
            yield unknown(key, source, allowed)
            continue
        period = config.simulation[source].period
        for number, share in enumerate(shares):
            yield from _inside(f"{key}.{source}", share, period, f"simulation.{source}.period")
            if any(share.overlaps(other) for other in shares[:number]):
                yield (
                    f"{key}.{source}: {share.start}..{share.end} shares days with another entry, "
                    f"allowed: one share a day"
                )


def _observation_loss(config: "Config", name: str) -> Iterator[str]:
    """Check that observations which states are compared with can be compared."""
    experiment = config.resolve(name)
    loss = experiment.training.joint.observation_loss
    key = f"experiments.{name}.training.joint.observation_loss"
    state = set(channels.channel_table().analysed.names)
    names = sources.source_names()
    for source in loss.sources:
        if source in names and state.isdisjoint(sources.load_source(source).channel_names):
            yield (
                f"{key}.sources: {source} measures no channel of the state, allowed: stations, "
                f"ships, radiosondes"
            )
    for source in [] if experiment.weights else loss.radiances:
        if source not in experiment.sources:
            yield unknown(f"{key}.radiances", source, experiment.sources)
        elif source in names:
            instruments = simulation.instruments_with_operator()
            if sources.load_source(source).instrument not in instruments:
                yield (
                    f"{key}.radiances: there is no observation operator for {source}, allowed: "
                    f"sources of {', '.join(instruments)}"
                )


def _stages(config: "Config", name: str) -> Iterator[str]:
    """Check that an experiment uses networks after stages that are trained."""
    experiment = config.resolve(name)
    training = config.resolve(config.weights_of(name)).training
    cycled = [*training.stages, *(["replay"] if training.replay else [])]
    for key, trained in (("analyses_after", cycled), ("forecasts_after", training.stages)):
        if (stage := getattr(experiment, key)) is not None:
            yield from _one_of(f"experiments.{name}.{key}", stage, trained)


def _assimilator(config: "Config", name: str) -> Iterator[str]:
    experiment = config.resolve(name)
    trained = config.resolve(experiment.weights or name).training
    if experiment.assimilator == "variational" and trained.variational is None:
        yield (
            f"experiments.{name}.assimilator: variational needs networks trained with "
            f"training.variational"
        )


def _forecaster(config: "Config", name: str) -> Iterator[str]:
    """Check the initial states of an experiment's forecasts and how far its models reach."""
    experiment = config.resolve(name)
    if experiment.initial is not None:
        allowed = ["gfs", *config.cycled_experiments]
        yield from _one_of(f"experiments.{name}.initial", experiment.initial, allowed)
        if not experiment.forecasts:
            yield (
                f"experiments.{name}.forecasts: false, allowed: true, as with 'initial' an "
                f"experiment makes nothing else"
            )
    if experiment.forecaster is not None:
        models, steps = len(experiment.forecaster.onnx), experiment.forecaster.steps
        reach = models * steps * times.STEP_HOURS
        if reach < config.cycling.max_lead_hours:
            yield (
                f"experiments.{name}.forecaster.onnx: {models} of {steps} steps reach {reach} h, "
                f"allowed: at least cycling.max_lead_hours = {config.cycling.max_lead_hours}"
            )


def _one_of(key: str, value: str, allowed) -> Iterator[str]:
    """Check that a name is one of those there are.

    Parameters
    ----------
    key : str
        Dotted key of the setting.
    value : str
        The name that was given.
    allowed : iterable of str
        The names there are.

    Yields
    ------
    str
        The mistake, where there is one.
    """
    if value not in allowed:
        yield unknown(key, value, allowed)
