"""The changes whose consequences the table of docs/reference/reruns.md promises: what each does to
a checkout with results.

The table is the one place of what is expected; :func:`promised` reads it.
"""

import ast
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable

from fuxiflow import ROOT
from tests.workflow.workbench import Workbench

DOCUMENT = ROOT / "docs" / "reference" / "reruns.md"
STAGES = (
    *("world", "states", "observations", "training"),
    *("cycling", "verification", "cyclones", "figures"),
)
CONFIG = "config/test.yaml"
SOURCE = "config/sources/noaa20_atms.yaml"


def _stage(rule: str) -> str:
    return rule.split("_")[0].replace("figure", "figures")


def promised(rules: Iterable[str]) -> dict[str, set[str]]:
    """By change, the rules that the table says run again, of all the ``rules`` of a plan.

    A cell holds ``all`` of its stage, names of rules without the stage, ``all but`` such names, or
    a dot for none.
    """
    rows = re.findall(r"^\| (.*) \|$", DOCUMENT.read_text(), re.M)
    table = [re.split(r" \| ", row) for row in rows]
    table = [row for row in table if len(row) == len(STAGES) + 1]
    if tuple(table[0][1:]) != STAGES:
        raise ValueError(f"the table of {DOCUMENT.name} has columns {table[0][1:]}, not {STAGES}")
    found = {}
    for change, *cells in table[1:]:
        found[change] = set()
        for stage, cell in zip(STAGES, cells, strict=True):
            of_stage = {rule.split("_", 1)[1]: rule for rule in rules if _stage(rule) == stage}
            if cell == "·":
                continue
            names = set(re.findall(r"`(\w+)`", cell))
            if unknown := names - set(of_stage):
                raise ValueError(f"{DOCUMENT.name}, {change}, {stage}: no rules {sorted(unknown)}")
            if cell.startswith("all"):
                names = set(of_stage) - names
            found[change] |= {of_stage[name] for name in names}
    return found


def row(change: str, pending: set[str], rules: set[str]) -> str:
    """The row of the table that says what a plan did: what to write there when a test fails."""
    cells = []
    for stage in STAGES:
        every = {rule.split("_", 1)[1] for rule in rules if _stage(rule) == stage}
        run = {rule.split("_", 1)[1] for rule in pending if _stage(rule) == stage}
        left = every - run
        names = ", ".join(f"`{name}`" for name in sorted(run))
        but = "all but " + ", ".join(f"`{name}`" for name in sorted(left))
        cells.append(
            "·" if not run else "all" if not left else but if len(but) < len(names) else names
        )
    return f"| {change} | {' | '.join(cells)} |"


def _replace(name: str, old: str, new: str) -> Callable[[Workbench], None]:
    return lambda bench: bench.edit(name, old, new)


def _code(name: str) -> Callable[[Workbench], None]:
    """Add a statement to a script, or to a module that a parameter names, which count whole."""

    def add(bench):
        path = bench.folder / name
        path.write_text(path.read_text() + "\n\nADDED = 1\n")

    return add


def edit_definition(bench: Workbench, name: str, definition: str) -> None:
    """Add a statement to a function, ``Class.method`` or class of a file."""
    path = bench.folder / name
    body = ast.parse(path.read_text()).body
    for part in definition.split("."):
        (node,) = (item for item in body if getattr(item, "name", "") == part)
        body = node.body
    first = body[1] if ast.get_docstring(node) and len(body) > 1 else body[0]
    lines = path.read_text().splitlines(keepends=True)
    lines.insert(first.lineno - 1, f"{' ' * first.col_offset}added = 1\n")
    path.write_text("".join(lines))


def _definitions(*named: tuple[str, str]) -> Callable[[Workbench], None]:
    def edit(bench):
        for name, definition in named:
            edit_definition(bench, name, definition)

    return edit


def _wording(bench: Workbench) -> None:
    """Reword what goes to the log: messages, and labels of progress."""
    count = 0
    for path in bench.folder.glob("fuxiflow/**/*.py"):
        text = path.read_text()
        new = re.sub(r'((?:\blog\.(?:info|warning)|\bprogress)\([^"()]*f?")(?=\w)', r"\1now ", text)
        count += new != text
        path.write_text(new)
    assert count > 5


def _coefficients(instrument: str) -> Callable[[Workbench], None]:
    def extend(bench):
        with (bench.folder / f"resources/operators/{instrument}.npz").open("ab") as file:
            file.write(b"0")

    return extend


def _remarks(bench: Workbench) -> None:
    for path in [
        *bench.folder.glob("fuxiflow/**/*.py"),
        *bench.folder.glob("workflow/scripts/*.py"),
    ]:
        path.write_text(path.read_text() + "\n\n# a remark\n")
    bench.edit(
        "fuxiflow/times.py", '"""Periods, analysis times', '"""Spans of days, analysis times'
    )


def _touch(bench: Workbench) -> None:
    later = time.time() + 5
    for pattern in (
        "fuxiflow/**/*.py",
        "workflow/**/*",
        "config/**/*",
        "envs/*",
        "resources/**/*",
        "Snakefile",
    ):
        for path in bench.folder.glob(pattern):
            if path.is_file():
                os.utime(path, (later, later))


def _fresh_clone(bench: Workbench) -> None:
    shutil.rmtree(bench.folder / ".snakemake")
    _touch(bench)


def _pins(bench: Workbench) -> None:
    for path in [
        bench.folder / "requirements.txt",
        bench.folder / "constraints.txt",
        *bench.folder.glob("envs/*.yaml"),
    ]:
        path.write_text(re.sub(r"(=+\d[\w.]*)", r"\g<1>9", path.read_text()))


def _lose(bench: Workbench) -> None:
    (bench.folder / "results/test/figures/cycling.csv").unlink()


def _less_complete(bench: Workbench) -> None:
    bench.edit(
        CONFIG, "chain: 2, checkpoint_every: 2}", "chain: 2, checkpoint_every: 2, max_skipped: 0.5}"
    )
    path = bench.folder / CONFIG
    with path.open("a", encoding="utf-8") as file:
        file.write(
            "\ncompleteness: {states: 0.8, observations: 0.3, sources: {noaa20_atms: 0.2},"
            "\n               files: 0.7, forecasts: 0.6, analyses: 0.4, cases: 0.7}\n"
        )


CHANGES: dict[str, Callable[[Workbench], None]] = {
    "nothing": lambda bench: None,
    "a fresh clone with the old `results/`, without `.snakemake/`": _fresh_clone,
    "a comment, a docstring, formatting": _remarks,
    "time stamps of the project: `touch`": _touch,
    "a pinned version, without `--sdm conda`": _pins,
    "a lost table of a figure": _lose,
    "the wording of the log": _wording,
    "how progress is told": _definitions(("fuxiflow/progress.py", "Progress.step")),
    "provenance": _definitions(("fuxiflow/storage/provenance.py", "collect")),
    "the runtime: how scripts are run, recorded, followed": _definitions(
        ("fuxiflow/runtime/rule_runner.py", "run"),
        ("fuxiflow/runtime/records.py", "write_record"),
        ("fuxiflow/runtime/monitor.py", "Monitor.line"),
        ("fuxiflow/runtime/costs.py", "job_costs"),
    ),
    "a figure's script": _code("workflow/scripts/figure_cycling.py"),
    "the style of figures": _replace(
        "fuxiflow/figures/style.py", '"lines.linewidth": 1.5', '"lines.linewidth": 1.6'
    ),
    "`figures.case`": _replace(
        CONFIG, "map_leads: [24, 48]", "map_leads: [24, 48]\n  case: 2022-02-03T06"
    ),
    "`figures.perturbation`": _replace(
        CONFIG, "map_leads: [24, 48]", "map_leads: [24, 48]\n  perturbation: {kelvin: 4}"
    ),
    "`figures.map_leads`, `map_channels`": _replace(
        CONFIG, "map_leads: [24, 48]", "map_leads: [48]"
    ),
    "a metric": _replace(
        "fuxiflow/verification/scoring.py",
        '"rmse": Metric({"square": 0.5})',
        '"rmse": Metric({"square": 0.5 + 0})',
    ),
    "the weights of a region": _definitions(("fuxiflow/verification/metrics.py", "region_weights")),
    "`verification.bootstrap`": _replace(
        CONFIG, "bootstrap: 20\n  block_days", "bootstrap: 21\n  block_days"
    ),
    "`cycling.max_lead_hours`": _replace(
        CONFIG, "cycling:\n  max_lead_hours: 48", "cycling:\n  max_lead_hours: 54"
    ),
    "a threshold of QC": _replace(SOURCE, "max_z: 6", "max_z: 5"),
    "a source's `gridding`": _replace(
        SOURCE, "gridding: {method: mean}", "gridding: {method: whole}"
    ),
    "a source's `window`": _replace(SOURCE, "window: [-3, 5]", "window: [-3, 3]"),
    "a source's `noise`": _replace(
        SOURCE, "polarisation: QV, noise: 0.6}", "polarisation: QV, noise: 0.7}"
    ),
    "a source's reader": _code("fuxiflow/observations/readers/atms_sdr.py"),
    "one experiment": _replace(
        CONFIG, "no_observations: {sources: []", "no_observations: {sources: [noaa20_atms]"
    ),
    "the size of the forecaster": _replace(CONFIG, "width: 32", "width: 48"),
    "the size of the assimilator": _replace(CONFIG, "width: 8", "width: 12"),
    "`training.joint.updates`": _replace(CONFIG, "joint: {updates: 4,", "joint: {updates: 5,"),
    "`training.joint.learning_rate`": _replace(
        CONFIG, "learning_rate: 1.0e-4", "learning_rate: 2.0e-4"
    ),
    "`training.joint.checkpoint_every`": _replace(
        CONFIG, "chain: 2, checkpoint_every: 2", "chain: 2, checkpoint_every: 3"
    ),
    "`training.joint.max_skipped`, a share of `completeness`": _less_complete,
    "`periods.test.end`": _replace(CONFIG, "end: 2022-02-05}", "end: 2022-02-06}"),
    "how the climatology is made": _definitions(
        ("fuxiflow/states/climatology_parts.py", "write_part")
    ),
    "how the climatology is read": _definitions(
        ("fuxiflow/states/climatology.py", "Climatology.at")
    ),
    "the observation loss": _definitions(("fuxiflow/training/losses.py", "PointLoss.forward")),
    "the operator's coefficients of SSMIS": _coefficients("ssmis"),
    "the operator's coefficients of ATMS": _coefficients("atms"),
}
