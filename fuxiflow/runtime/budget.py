"""The needs of a run before it begins: jobs, hours, space and files, and whether they fit the disk.

All numbers are estimates (:mod:`fuxiflow.config.resources`, :mod:`fuxiflow.config.volumes`) of a
planned run. Only what is not there yet counts.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from fuxiflow.archive.needs import need_of
from fuxiflow.config.base import Period
from fuxiflow.config.configuration import Config
from fuxiflow.config.resources import Cost, job_cost, request_of
from fuxiflow.config.volumes import STAGES, Volume, product_stage, product_volume
from fuxiflow.runtime.job_scheduling import Schedule, Task, chain_lengths, simulate
from fuxiflow.runtime.snakemake_internals import PlannedJob

ARCHIVE = Path("resources/archive")
AT_ONCE = MappingProxyType({"_nodes": 100, "downloads": 4})
"""Jobs and downloads of a simulated run at once, as the profiles let; as Snakemake calls them."""
LEAST_SAVING = 0.01
"""A setting that saves a smaller share of the space is not named."""
FORECASTS = ("cycling_forecasts", "cycling_external_forecasts")


def capacity_of(
    cores: float | None = None, memory_gb: float | None = None, gpus: float | None = None
) -> dict[str, float]:
    """Return what a simulated run has of each of :attr:`Item.needs`.

    Parameters
    ----------
    cores : float, optional
        Processors; by default any number.
    memory_gb : float, optional
        Memory in GB; by default any amount.
    gpus : float, optional
        GPUs; by default one, and any number where nothing is given at all.

    Returns
    -------
    dict
        Amounts by Snakemake's names.
    """
    amounts = {"_cores": cores, "mem_mb": memory_gb and 1000 * memory_gb, "gpu": gpus}
    if any(amounts.values()):
        amounts["gpu"] = gpus or 1
    return {**AT_ONCE, **{name: amount for name, amount in amounts.items() if amount}}


class SpaceError(RuntimeError):
    """A run whose products do not fit; the message says what is needed, where, and the remedy."""


@dataclass(frozen=True)
class Item:
    """A job of a plan with what it is estimated to take, and to leave where there is nothing yet.

    ``volume`` is what it adds to the disk; its space is zero for products that are there.
    """

    job: PlannedJob
    cost: Cost
    volume: Volume

    @property
    def stage(self) -> str:
        """The stage that its products belong to."""
        return product_stage(self.job.rule)

    @property
    def needs(self) -> dict[str, float]:
        """The needs of the job while it runs, by Snakemake's names.

        They are jobs, processors, memory, GPUs and downloads.
        """
        request = request_of(self.cost)
        return {
            "_nodes": 1,
            "_cores": request.threads,
            "mem_mb": request.mem_mb,
            # where a GPU is not certain the estimate is that of the processor
            "gpu": request.gpu if self.cost.on_gpu else 0,
            # of files that are there nothing is fetched
            "downloads": int(self.is_raw_store and self.volume.files > 0),
        }

    @property
    def is_raw_store(self) -> bool:
        """True where its files go into the raw store, which all configurations share."""
        return self.job.rule == "archive_fetch"


@dataclass(frozen=True)
class Total:
    """Sums of a stage."""

    jobs: int = 0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    mb: float = 0.0
    files: float = 0.0

    def __add__(self, other: "Total") -> "Total":
        """Return the sums of both."""
        return Total(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


@dataclass(frozen=True)
class Place:
    """A file system: what is needed of it and what it has; files None where it does not say."""

    paths: tuple[Path, ...]
    needed_mb: float
    needed_files: float
    free_mb: float
    free_files: int | None

    @property
    def fits(self) -> bool:
        """True where the need is not more than what is free."""
        if self.free_files is not None and self.needed_files > self.free_files:
            return False
        return self.needed_mb <= self.free_mb


def two_digits(number: float) -> str:
    """Return a number as an estimate is told: two digits that count."""
    if number == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(number)))
    rounded = round(number, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def in_words(mb: float) -> str:
    """Return an amount of space in the largest unit that it fills."""
    for unit, size in (("TB", 1e6), ("GB", 1e3)):
        if mb >= size:
            return f"{two_digits(mb / size)} {unit}"
    return f"{two_digits(mb)} MB"


def _lacking(config: Config, job: PlannedJob, store: Path) -> float:
    """Return the share of a job's files that is not there.

    Parameters
    ----------
    config : Config
        The configuration.
    job : PlannedJob
        The job.
    store : Path
        The raw store, whose months count of a job that fetches.

    Returns
    -------
    float
        Between 0 and 1.
    """
    if job.rule == "archive_fetch":
        months = need_of(config, job.wildcards["product"], job.wildcards["segment"]).months
        absent = [not (store / job.wildcards["product"] / month).exists() for month in months]
        return sum(absent) / len(absent)
    return sum(not os.path.exists(path) for path in job.outputs) / len(job.outputs)


def items_of(config: Config, jobs: Iterable[PlannedJob], store: Path = ARCHIVE) -> list[Item]:
    """Estimate the jobs of a plan.

    Parameters
    ----------
    config : Config
        The configuration.
    jobs : iterable of PlannedJob
        The plan; jobs that would not run are left out.
    store : Path
        The raw store.

    Returns
    -------
    list of Item
        One for each job.
    """
    items = []
    for job in jobs:
        if not job.needed:
            continue
        whole = product_volume(config, job.rule, job.wildcards)
        share = _lacking(config, job, store)
        volume = Volume(share * whole.mb, share * whole.files)
        cost = job_cost(config, job.rule, job.wildcards)
        if job.rule == "archive_fetch":
            cost = replace(cost, seconds=share * cost.seconds)
        items.append(Item(job, cost, volume))
    return items


def totals(items: Iterable[Item]) -> dict[str, Total]:
    """Add up what jobs take, by stage, in the order of :data:`STAGES`."""
    sums: dict[str, Total] = dict.fromkeys(STAGES, Total())
    for item in items:
        hours = item.cost.seconds / 3600
        cpu, gpu = (0, item.cost.gpus) if item.cost.on_gpu else (item.cost.threads, 0)
        sums[item.stage] += Total(1, cpu * hours, gpu * hours, item.volume.mb, item.volume.files)
    return sums


def run_tasks(items: Sequence[Item]) -> list[Task]:
    """Return the jobs of a run as tasks that wait for one another, named by their first product."""
    maker = {path: item.job.outputs[0] for item in items for path in item.job.outputs}
    return [
        Task(
            item.job.outputs[0],
            item.cost.seconds,
            tuple(dict.fromkeys(maker[path] for path in item.job.inputs if path in maker)),
            item.needs,
            item.job.priority,
        )
        for item in items
    ]


def remaining_seconds(items: Sequence[Item]) -> dict[str, float]:
    """Estimate the s from each job's start to the end of all that waits for it, on free machines.

    Jobs go by their first product.
    """
    return chain_lengths({task.name: task for task in run_tasks(items)})


def simulated_run(items: Sequence[Item], capacity: Mapping[str, float] = AT_ONCE) -> Schedule:
    """Simulate a run.

    Parameters
    ----------
    items : sequence of Item
        The run.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    Schedule
        Starts of jobs by their first product.
    """
    return simulate(run_tasks(items), capacity)


def peak_volume(items: Sequence[Item], capacity: Mapping[str, float] = AT_ONCE) -> Volume:
    """Return the most space and files at any time, as temporary products come and go.

    Without temporary products that is all of it, at the end. With them the run is simulated.

    Parameters
    ----------
    items : sequence of Item
        The run.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    Volume
        Space and files.
    """
    whole = sum((item.volume for item in items), Volume())
    if not any(item.job.temporary for item in items):
        return whole
    start = simulated_run(items, capacity).start
    ends = {
        name: start[name] + item.cost.seconds
        for item in items
        if (name := item.job.outputs[0]) in start
    }
    last_use: dict[str, float] = defaultdict(float)
    for item in items:
        for path in item.job.inputs:
            last_use[path] = max(last_use[path], ends[item.job.outputs[0]])
    changes = []
    for item in items:
        name, passing = item.job.outputs[0], item.job.temporary
        changes.append((start[name], 1, item.volume))
        # what lies beside a temporary product and stays is small: a ledger, a restart
        for path in passing:
            part = Volume(item.volume.mb / len(passing), item.volume.files / len(passing))
            freed = max(last_use[path], ends[name])
            changes.append((freed, 0, Volume(-part.mb, -part.files)))
    now, most_mb, most_files = Volume(), 0.0, 0.0
    for _, _, change in sorted(changes, key=lambda entry: entry[:2]):
        now += change
        most_mb, most_files = max(most_mb, now.mb), max(most_files, now.files)
    return Volume(most_mb, most_files)


def _existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def places(
    items: Sequence[Item],
    results: Path,
    store: Path = ARCHIVE,
    capacity: Mapping[str, float] = AT_ONCE,
) -> list[Place]:
    """Return the file systems that a run writes to, with need and free space of each.

    Parameters
    ----------
    items : sequence of Item
        The run.
    results : Path
        Its folder.
    store : Path
        The raw store.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    list of Place
        One where both lie on the same.
    """
    parts = {results: [], store: []}
    for item in items:
        parts[store if item.is_raw_store else results].append(item)
    by_device: dict[int, list[Path]] = defaultdict(list)
    for path, part in parts.items():
        if part:
            by_device[os.stat(_existing(path)).st_dev].append(path)
    systems = []
    for paths in by_device.values():
        need = peak_volume([item for path in paths for item in parts[path]], capacity)
        system = os.statvfs(_existing(paths[0]))
        systems.append(
            Place(
                tuple(paths),
                need.mb,
                need.files,
                system.f_bavail * system.f_frsize / 1e6,
                system.f_favail if system.f_files else None,
            )
        )
    return systems


def _changed_configurations(config: Config) -> Iterator[tuple[str, Config]]:
    """Yield changes of settings that make products smaller and leave all jobs there."""
    cycling = config.cycling
    if len(cycling.init_hours) > 1:
        first = cycling.init_hours[:1]
        changed = cycling.model_copy(update={"init_hours": first})
        yield f"cycling.init_hours: {first}", config.model_copy(update={"cycling": changed})
    if cycling.keep_forecasts == "all":
        scored = config.verification.channels
        text = "cycling.keep_forecasts: scored"
        if scored == "all":
            scored, text = [], f"{text} with verification.channels: []"
        sections = {
            "cycling": cycling.model_copy(update={"keep_forecasts": "scored"}),
            "verification": config.verification.model_copy(update={"channels": scored}),
        }
        yield text, config.model_copy(update=sections)
    if config.states.compression == "none":
        changed = config.states.model_copy(update={"compression": "packed"})
        yield "states.compression: packed", config.model_copy(update={"states": changed})
    training = config.experiment.training
    if training.backgrounds is not None:
        hours = 2 * training.backgrounds.every_hours
        bank = training.backgrounds.model_copy(update={"every_hours": hours})
        experiment = config.experiment.model_copy(
            update={"training": training.model_copy(update={"backgrounds": bank})}
        )
        yield (
            f"experiment.training.backgrounds.every_hours: {hours}",
            config.model_copy(update={"experiment": experiment}),
        )


def savings(config: Config, items: Sequence[Item]) -> list[tuple[str, float]]:
    """Return what can be changed to need less space, and the MB that each saves, the most first.

    Parameters
    ----------
    config : Config
        The configuration.
    items : sequence of Item
        The run.

    Returns
    -------
    list of tuple
        Setting with its new value, and the saving.
    """
    savings_by_setting = []
    for text, changed in _changed_configurations(config):
        saved = sum(
            item.volume.mb
            * (1 - product_volume(changed, item.job.rule, item.job.wildcards).mb / whole)
            for item in items
            if (whole := product_volume(config, item.job.rule, item.job.wildcards).mb)
        )
        savings_by_setting.append((text, saved))
    forecasts = [item for item in items if item.job.rule in FORECASTS]
    # the figures show forecasts of one experiment at least
    if len(names := {item.job.wildcards["experiment"] for item in forecasts}) > 1:
        each = sum(item.volume.mb for item in forecasts) / len(names)
        savings_by_setting.append(
            (f"forecasts: false in one of the {len(names)} experiments", each)
        )
    for name in config.sources:
        keys = "source", "product"
        saved = sum(
            item.volume.mb
            for item in items
            if name in [item.job.wildcards.get(key) for key in keys]
        )
        savings_by_setting.append((f"{name} left out of sources", saved))
    training = config.periods.training
    later = training.start + timedelta(days=365)
    if later < config.periods.observations.start:
        early = {*config.segments(Period(start=training.start, end=later - timedelta(days=1)))}
        saved = sum(item.volume.mb for item in items if item.job.wildcards.get("segment") in early)
        savings_by_setting.append((f"periods.training.start: {later}, a year later", saved))
    whole = sum(item.volume.mb for item in items)
    worth = [entry for entry in savings_by_setting if entry[1] > LEAST_SAVING * whole]
    return sorted(worth, key=lambda entry: -entry[1])


def remedy_lines(changes: Sequence[tuple[str, float]], most: int = 8) -> list[str]:
    """Return a line for each of the changes that save the most."""
    return [f"  {text}: {in_words(mb)} less" for text, mb in changes[:most]]


def check_space(
    config: Config,
    items: Sequence[Item],
    results: Path,
    store: Path = ARCHIVE,
    capacity: Mapping[str, float] = AT_ONCE,
) -> None:
    """Raise where the products of a planned run are estimated not to fit on the disk.

    Parameters
    ----------
    config : Config
        The configuration; nothing is checked where its ``check_space`` is false.
    items : sequence of Item
        The run.
    results : Path
        Folder of the results.
    store : Path
        The raw store.
    capacity : mapping
        What there is of each of :attr:`Item.needs`: what a run has at once decides how long
        temporary products stay.

    Raises
    ------
    SpaceError
        With need, free space, place and remedy.
    """
    if not config.check_space:
        return
    full = [place for place in places(items, results, store, capacity) if not place.fits]
    if not full:
        return
    lines = ["this run would not fit on the disk, by estimate:"]
    lines += [f"  {place_line(place)}" for place in full]
    if changes := remedy_lines(savings(config, items), 4):
        lines += [
            "Make room there, let the folder be a link to a larger disk, or change:",
            *changes,
        ]
    else:
        lines.append("Make room there, or let the folder be a link to a larger disk.")
    lines.append("'fuxiflow plan' shows all of it. To run all the same: --config check_space=false")
    raise SpaceError("\n".join(lines))


def place_line(place: Place) -> str:
    """Say of a place what is needed and what is free."""
    names = " and ".join(map(str, place.paths))
    text = f"{names}: about {in_words(place.needed_mb)} needed, {in_words(place.free_mb)} free"
    if place.free_files is not None:
        text += f"; {two_digits(place.needed_files)} files, room for {two_digits(place.free_files)}"
    return text
