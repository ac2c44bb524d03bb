"""What all rules share: the checked configuration, paths of products, and common parameters."""

from functools import cache
from types import SimpleNamespace

from fuxiflow import ROOT, channels
from fuxiflow.config.base import read_yaml
from fuxiflow.config import resources as requests
from fuxiflow.config import figure_inputs, sources, volumes
from fuxiflow.config.cyclones import tracked_systems
from fuxiflow.config.configuration import ConfigurationError, validate_configuration
from fuxiflow.config.simulation import ABSORPTION, coefficient_files
from fuxiflow.runtime.data_warnings import read_warnings, shortfalls
from fuxiflow.runtime.fingerprint import data_digest, fingerprint
from fuxiflow.runtime.rule_runner import export_caches, export_path
from fuxiflow.runtime.slurm import ignore_early_signal
from fuxiflow.runtime.snakemake_internals import (
    capacity,
    complete_rules,
    has_partition,
    is_main_process,
    jobs_to_run,
    keep_earlier_products,
    lift_default_rate,
    longest_first,
    plan_to_run,
    quote_interpreter,
    restore_memory,
)
from fuxiflow.runtime.run_state import stage_of
from fuxiflow.runtime.monitor import end_monitor, start_monitor
from snakemake.exceptions import WorkflowError
from yaml import YAMLError

try:
    for path in workflow.configfiles:
        read_yaml(path)
    CONFIG = validate_configuration(config)
except (ConfigurationError, YAMLError) as error:
    raise WorkflowError(f"configuration: {error}")

export_path()
export_caches()
quote_interpreter()
if not is_main_process(workflow):
    ignore_early_signal()

RESULTS = f"results/{CONFIG.name}"
RAW = f"{RESULTS}/raw" if CONFIG.kind == "embedded" else "resources/archive"

# Snakemake takes what it does not remember as up to date: where .snakemake is gone, it is told again
if is_main_process(workflow) and (restored := restore_memory(Path(RESULTS))):
    print(f"{restored} products remembered from the records of {RESULTS}", file=sys.stderr)

# what jobs have said of their data goes to the report; what is asked for now may be more than it was
if is_main_process(workflow):
    warned = read_warnings(Path(RESULTS))
    config["data_warnings"] = [{"name": job.name, "counts": job.counts} for job in warned]
    if lines := shortfalls(warned, CONFIG.completeness.least):
        raise WorkflowError("\n".join(lines))

WORLD = "embedded synthetic world" if CONFIG.synthetic else "archive"


wildcard_constraints:
    segment=r"\d{4}-\d{2}",
    reference="era5|gfs|truth",
    scores="|".join(CONFIG.periods.scored),
    source="|".join(CONFIG.sources) or "none",
    system="|".join(CONFIG.verification.systems) or "none",
    experiment="|".join(CONFIG.experiments),
    tracked="|".join(tracked_systems(CONFIG)) or "none",


def results(path):
    """Return the path of a product of this configuration."""
    return f"{RESULTS}/{path}"


def raw(path):
    """Return the path of a raw file or folder: of the embedded world, or of downloads."""
    return f"{RAW}/{path}"


def passing(kind, path):
    """Return an output of a kind, which is removed after its last use where the configuration says so."""
    return temp(path) if kind in CONFIG.temporary else path


def restart(path):
    """Return the path of the restart state of a job, which outlives a failure."""
    return results(f"state/{path}")


def forecast_store(path):
    """Return a store of forecasts as an output: a temporary one where forecasts are not kept."""
    return temp(path) if CONFIG.cycling.keep_forecasts == "none" else path


def if_forecasts_stay(paths):
    """Return paths of forecasts that a target asks for, none where forecasts are not kept."""
    return [] if CONFIG.cycling.keep_forecasts == "none" else paths


def segments_of(path, period):
    """Return ``path`` for each segment of a period; its other wildcards stay."""
    return expand(path, segment=CONFIG.segments(period), allow_missing=True)


# all jobs of a rule have one fingerprint
@cache
def code(rule):
    """Return the fingerprint of what a rule computes."""
    return fingerprint(ROOT / "workflow" / "scripts" / f"{rule}.py")


def coefficients(names, absorption=ABSORPTION):
    """Return digests of the operator coefficients that sources need, by instrument."""
    files = coefficient_files(map(sources.load_source, names), absorption)
    return {instrument: data_digest(path) for instrument, path in files.items()}


def grid():
    """Return the grid of the networks as a parameter."""
    return CONFIG.grid.model_dump()


def dates(period, segment=None):
    """Return the first and last day of a period, or of its part in a segment, as texts."""
    first, last = CONFIG.clip(segment, period) if segment else (period.start, period.end)
    return [str(first), str(last)]


def dates_in(period):
    """Return an input function for the first and last day of a period in the segment of a job."""
    return lambda wildcards: dates(period, wildcards.segment)


def windows(experiment):
    """Return the assimilation windows of the sources of an experiment.

    They are those of the sources' files, or what the experiment makes of them.
    """
    return figure_inputs.assimilation_windows(CONFIG, experiment)


def completeness(name):
    """Return the least share of data that a rule must find, and the setting that says so.

    It comes as a namespace: Snakemake compares no parameters but those of built-in types, so another
    share runs nothing again.
    """
    return SimpleNamespace(**CONFIG.completeness.asked(name))


def of_experiment(value):
    """Return an input function that applies ``value`` to the settings of the experiment of a job."""
    return lambda wildcards: value(CONFIG.resolve(wildcards.experiment))


def of_source(value):
    """Return an input function that applies ``value`` to the source of a job."""
    return lambda wildcards: value(sources.load_source(wildcards.source))


# what a job asks for is asked one by one
@cache
def asked(rule, attempt, *wildcards):
    """Return all that a job asks for; ``wildcards`` are pairs of name and value."""
    return requests.request_of(requests.job_cost(CONFIG, rule, dict(wildcards)), attempt)


def request(rule):
    """Return the resources of a rule: memory, disk, minutes, and GPUs of one that runs networks.

    They follow from the size of the problem, in fuxiflow/config/resources.py. Memory grows with each
    attempt.
    """

    def amount(name):
        return lambda wildcards, attempt: getattr(asked(rule, attempt, *wildcards.items()), name)

    def disk(wildcards):
        volume = volumes.product_volume(CONFIG, rule, dict(wildcards.items()))
        return 100 * (1 + round(requests.MEMORY_MARGIN * volume.mb / 100))

    names = ["mem_mb", "runtime", *(["gpu"] if requests.runs_networks(rule) else [])]
    return {"disk_mb": disk, **{name: amount(name) for name in names}}


def threads_of(rule):
    """Return an input function for the processors of a job."""
    return lambda wildcards: asked(rule, 1, *wildcards.items()).threads


def estimated_run():
    """Return the jobs of this run with what each is estimated to take."""
    from fuxiflow.runtime.budget import items_of

    return items_of(CONFIG, plan_to_run(workflow))


def space_check(items):
    """Stop a run before its first job where its products would not fit on the disk."""
    from fuxiflow.runtime.budget import SpaceError, check_space

    try:
        check_space(CONFIG, items, Path(RESULTS), capacity=capacity(workflow))
    except SpaceError as error:
        raise WorkflowError(str(error))


def longest_chains_first(items):
    """Of jobs with the same priority, start those first that most of the run's time waits for."""
    from fuxiflow.runtime.budget import remaining_seconds

    longest_first(workflow, remaining_seconds(items))


def environment_of(rule):
    """Return the conda environment of a rule: that of its stage.

    The archive stage has none. It runs where Snakemake does, as ``fuxiflow fetch`` does, and no
    change of an environment asks for files again.
    """
    stage = stage_of(rule)
    return None if stage == "archive" else f"../../envs/{stage}.yaml"


def common_parameters(rule):
    """Return the parameters that all rules with a script have.

    ``code`` is the fingerprint of what the rule computes (docs/reference/reruns.md); ``world`` says whether
    its products are synthetic. No change of code asks for raw files again, so the archive stage has no
    fingerprint.
    """
    if stage_of(rule) == "archive":
        return {"world": WORLD}
    return {"code": lambda wildcards: code(rule), "world": WORLD}


# rules of one stage use the lookups of others
include: "functions/archive.smk"
include: "functions/states.smk"
include: "functions/observations.smk"
include: "functions/simulation.smk"
include: "functions/training.smk"
include: "functions/cycling.smk"
include: "functions/verification.smk"
include: "functions/cyclones.smk"
include: "functions/figures.smk"
include: "functions/world.smk"
