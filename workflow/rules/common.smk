"""What all rules share: the checked configuration, where products lie, and the fingerprint of a rule's code."""

from fuxiflow import ROOT, records, sources
from fuxiflow.config import ConfigurationError, validate
from fuxiflow.fingerprint import fingerprint
from fuxiflow.script import export_path
from snakemake.exceptions import WorkflowError

try:
    CONFIG = validate(config)
except ConfigurationError as error:
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
    stage="forecaster|assimilator|joint|autoregressive",


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
    return {name: list(sources.load(name).window) for name in CONFIG.resolve(experiment).sources}
