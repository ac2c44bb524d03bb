"""The report of ``fuxiflow plan``: a table of needs, the time, what does not fit, and remedies.

All numbers are those of :mod:`fuxiflow.runtime.budget`, and so estimates.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fuxiflow.config.configuration import Config
from fuxiflow.config.resources import request_of
from fuxiflow.config.training import Training
from fuxiflow.runtime.budget import (
    ARCHIVE,
    AT_ONCE,
    Item,
    Total,
    in_words,
    items_of,
    peak_volume,
    place_line,
    places,
    remedy_lines,
    run_tasks,
    savings,
    totals,
    two_digits,
)
from fuxiflow.runtime.job_scheduling import least_times, simulate
from fuxiflow.runtime.snakemake_internals import PlannedJob

BINDING = {
    "critical path": "the longest chain of jobs",
    "_nodes": "jobs at once",
    "_cores": "the processors",
    "mem_mb": "the memory",
    "gpu": "the GPUs",
    "downloads": "the downloads",
}
"""What holds a run up, by the names of :func:`least_times`."""
YEAR_HOURS = 365 * 24
MOST_MB = 1e8
"""A job of more than a year, or of more memory than any machine has (100 TB), is a mistake."""


def stages_table(sums: Mapping[str, Total]) -> list[str]:
    """Return the sums as lines of a table, with those of all stages at its end."""
    rows = {stage: one for stage, one in sums.items() if one.jobs}
    rows["all"] = sum(sums.values(), Total())
    lines = [f"{'stage':<14} {'jobs':>7} {'CPU h':>9} {'GPU h':>9} {'space':>10} {'files':>12}"]
    for stage, one in rows.items():
        lines.append(
            f"{stage:<14} {one.jobs:>7,} {two_digits(one.cpu_hours):>9} "
            f"{two_digits(one.gpu_hours):>9} {in_words(one.mb):>10} {two_digits(one.files):>12}"
        )
    return lines


def _how_long(seconds: float) -> str:
    """Return a time in hours, and in days where these are many."""
    hours = seconds / 3600
    days = f" ({two_digits(hours / 24)} days)" if hours >= 48 else ""
    return f"{two_digits(hours)} h{days}"


def _given(items: Sequence[Item], capacity: Mapping[str, float]) -> str:
    """Say what a run has: processors, memory, and where its jobs need them GPUs and downloads."""
    texts = []
    if "_cores" in capacity:
        texts.append(f"{capacity['_cores']:g} processors")
    if "mem_mb" in capacity:
        texts.append(f"{in_words(capacity['mem_mb'])} of memory")
    asked = {name for item in items for name, amount in item.needs.items() if amount}
    if "gpu" in asked & {*capacity}:
        texts.append(f"{capacity['gpu']:g} GPU{'s' if capacity['gpu'] > 1 else ''}")
    if "downloads" in asked & {*capacity}:
        texts.append(f"{capacity['downloads']:g} downloads at once")
    return ", ".join(texts)


def time_lines(items: Sequence[Item], capacity: Mapping[str, float]) -> list[str]:
    """Say how long a run takes with what it is given, and what no schedule can shorten.

    Parameters
    ----------
    items : sequence of Item
        The run.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    list of str
        Nothing where neither processors nor memory nor GPUs are given.
    """
    if not {"_cores", "mem_mb", "gpu"} & {*capacity}:
        return []
    tasks = run_tasks(items)
    least = least_times(tasks, capacity)
    binding = max(least, key=least.__getitem__)
    return [
        f"on {_given(items, capacity)}: {_how_long(simulate(tasks, capacity).makespan)}",
        f"at least, in any order of the jobs: {_how_long(least[binding])}, by {BINDING[binding]}",
    ]


def excess_lines(items: Sequence[Item], capacity: Mapping[str, float]) -> list[str]:
    """Name the jobs that ask for more memory, or for more GPUs, than the run has.

    Parameters
    ----------
    items : sequence of Item
        The run.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    list of str
        A line for each of the two where there are such jobs.
    """
    lines = []
    for name in ("mem_mb", "gpu"):
        most = capacity.get(name, float("inf"))
        above = [item for item in items if item.needs[name] > most]
        if not above:
            continue
        largest = max(above, key=lambda item: item.needs[name])
        amounts = [largest.needs[name], most]
        asked, there = (
            [f"{in_words(amount)} of memory" for amount in amounts]
            if name == "mem_mb"
            else [f"{amount:g} GPUs" for amount in amounts]
        )
        count = "1 job asks" if len(above) == 1 else f"{len(above):,} jobs ask"
        lines.append(
            f"{count} for more than {there}, the most {largest.job.rule} with "
            f"{asked}: such a job is started alone, and may not get through"
        )
    return lines


def mistake_lines(items: Sequence[Item]) -> list[str]:
    """Name the rules with jobs that no machine could end, each with the most that one takes."""
    lines = []
    for rule in dict.fromkeys(item.job.rule for item in items):
        costs = [item.cost for item in items if item.job.rule == rule]
        years = max(cost.seconds for cost in costs) / 3600 / YEAR_HOURS
        mb = max(cost.mb for cost in costs)
        amounts = [f"{two_digits(years)} years"] if years > 1 else []
        amounts += [f"{in_words(mb)} of memory"] if mb > MOST_MB else []
        if amounts:
            lines.append(
                f"{rule}: a job of {' and '.join(amounts)}, TOO LARGE: look at its amounts in the "
                "configuration"
            )
    return lines


def device_lines(
    config: Config, most_gb: float | None, items: Sequence[Item] | None = None
) -> tuple[list[str], bool]:
    """Return the memory of a GPU that each training stage takes, and how it fits a device.

    Parameters
    ----------
    config : Config
        The configuration.
    most_gb : float, optional
        Memory of a device in GB.
    items : sequence of Item, optional
        The run, whose stages alone are told; by default all.

    Returns
    -------
    tuple
        A line for each stage of each experiment that trains it, and whether all fit as they are.
    """
    # torch takes a second or two
    from fuxiflow.models.device_memory import device_gb, way_to_fit

    lines, fit = [], True
    grid = (config.grid.nlat, config.grid.nlon)
    planned = {(item.job.rule, item.job.wildcards.get("experiment")) for item in items or ()}
    for name in config.trained_experiments:
        experiment = config.resolve(name)
        for stage in experiment.training.stages:
            if config.trained_by(name, stage) != name:
                continue
            if items is not None and (f"training_{stage}", name) not in planned:
                continue
            line = f"  {name}, {stage}: {two_digits(device_gb(experiment, stage, grid))} GB"
            line += _devices_used(experiment.training, stage)
            if most_gb is not None:
                way = way_to_fit(experiment, stage, grid, most_gb)
                line += f"; {_fitting(way, most_gb)}"
                # a way with changes is one that the configuration does not take yet
                fit = fit and way is not None and not way[0]
            lines.append(line)
    return lines, fit


def _devices_used(training: Training, stage: str) -> str:
    """Say how many devices a stage uses, where these are not all."""
    used, there = training.layout(stage).processes, training.devices * training.nodes
    if used == there:
        return ""
    return f" on {used} of {there} devices, as many as share its batch evenly"


def _fitting(way: tuple[dict, float] | None, most_gb: float) -> str:
    """Say with which settings a stage fits a device."""
    if way is None:
        return f"DOES NOT FIT {most_gb:g} GB, nor with anything that fuxiflow offers"
    changes, needed = way
    if not changes:
        return f"fits {most_gb:g} GB"
    settings = ", ".join(f"{key}: {str(value).lower()}" for key, value in changes.items())
    return f"DOES NOT FIT {most_gb:g} GB; {two_digits(needed)} GB with {settings}"


def describe_plan(
    config: Config,
    jobs: Sequence[PlannedJob],
    results: Path,
    most_gb: float | None = None,
    store: Path = ARCHIVE,
    capacity: Mapping[str, float] = AT_ONCE,
) -> tuple[str, bool]:
    """Describe what a planned run needs.

    Parameters
    ----------
    config : Config
        The configuration.
    jobs : sequence of PlannedJob
        Its plan.
    results : Path
        Folder of its results.
    most_gb : float, optional
        Memory of a GPU in GB.
    store : Path
        The raw store.
    capacity : mapping
        What there is of each of :attr:`Item.needs`.

    Returns
    -------
    tuple
        The text, and whether the run fits: the disk, the GPU, and each job some machine.
    """
    items = items_of(config, jobs, store)
    lines = [
        f"{config.name}: {len(items):,} of {len(jobs):,} jobs to run. All numbers are estimates."
    ]
    if not items:
        return lines[0], True
    lines += ["", *stages_table(totals(items))]
    peak, systems = peak_volume(items, capacity), places(items, results, store, capacity)
    largest = max(items, key=lambda item: item.cost.mb)
    longest = max(items, key=lambda item: item.cost.seconds)
    mistakes = mistake_lines(items)
    lines += [
        "",
        *time_lines(items, capacity),
        f"at most at any time: {in_words(peak.mb)} in {two_digits(peak.files)} files",
        *(f"{place_line(place)}{'' if place.fits else ': DOES NOT FIT'}" for place in systems),
        f"largest job: {largest.job.rule}, {two_digits(largest.cost.mb / 1e3)} GB of memory, "
        f"asks for {in_words(request_of(largest.cost).mem_mb)}",
        f"longest job: {longest.job.rule}, {two_digits(longest.cost.seconds / 3600)} h",
        *excess_lines(items, capacity),
        *mistakes,
    ]
    if changes := remedy_lines(savings(config, items)):
        lines += ["", "to need less space:", *changes]
    fits = all(place.fits for place in systems) and not mistakes
    if most_gb is not None or any(item.cost.on_gpu for item in items):
        devices, fit = device_lines(config, most_gb, items)
        fits = fits and fit
        lines += ["", "memory of each GPU in training:", *devices] if devices else []
    return "\n".join(lines), fits
