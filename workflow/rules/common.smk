"""What all rules share: the checked configuration, where products lie, and the fingerprint of a rule's code."""

from fuxiflow import ROOT
from fuxiflow.runtime import records
from fuxiflow.config.base import read_yaml
from fuxiflow.config import sources
from fuxiflow.config.configuration import ConfigurationError, validate_configuration
from fuxiflow.runtime.fingerprint import fingerprint
from fuxiflow.runtime.rule_runner import export_path
from fuxiflow.runtime import monitor
from snakemake.exceptions import WorkflowError
from yaml import YAMLError

try:
    for path in workflow.configfiles:
        read_yaml(path)
    CONFIG = validate_configuration(config)
except (ConfigurationError, YAMLError) as error:
    raise WorkflowError(f"configuration: {error}")

export_path()

RESULTS = f"results/{CONFIG.name}"
RAW = f"{RESULTS}/raw" if CONFIG.kind == "embedded" else "resources/archive"
STATE = f"{RESULTS}/state"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"

# Snakemake takes what it does not remember as up to date: where .snakemake is gone, it is told again
if restored := records.restore(records.folder(RESULTS), Path(".snakemake/metadata")):
    print(f"{restored} products remembered from {records.folder(RESULTS)}", file=sys.stderr)

WORLD = "embedded synthetic world" if CONFIG.kind == "embedded" else "archive"


wildcard_constraints:
    segment=r"\d{4}-\d{2}",
    reference="era5|gfs|truth",
    source="|".join(CONFIG.sources) or "none",
    experiment="|".join(CONFIG.experiments),


def lift_default_rate():
    """Snakemake's default limit, 100 jobs a second, never binds here, but makes it weigh all ready jobs once more every
    second for each job that has ended: thousands of times a second in a large run (snakemake/snakemake#3744).
    """
    rate = workflow.scheduling_settings.max_jobs_per_timespan
    if (rate.max_jobs, rate.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def code(rule):
    """The fingerprint of the script of a rule: what `params: code=` carries."""
    return fingerprint(ROOT / "workflow" / "scripts" / f"{rule}.py")


def grid():
    """The networks' grid, as a parameter."""
    return CONFIG.grid.model_dump()


def dates(period, segment=None):
    """First and last day of a period, or of a segment's part of it, as texts."""
    first, last = CONFIG.clip(segment, period) if segment else (period.start, period.end)
    return [str(first), str(last)]


def windows(experiment):
    """Assimilation windows of an experiment's sources. Scripts read them from the sources' files; as a parameter, a
    change of one is seen."""
    return {
        name: list(sources.load_source(name).window) for name in CONFIG.resolve(experiment).sources
    }


def memory(mb):
    """Memory in MB, so much more with each attempt: what was killed for its memory is tried again with more.

    ``mb`` is a number or a function of the wildcards.
    """
    return lambda wildcards, attempt: attempt * (mb(wildcards) if callable(mb) else mb)
