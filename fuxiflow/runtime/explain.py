"""Why jobs would run: the plan of a dry run beside the records of the last run (:mod:`fuxiflow.runtime.records`).

``python -m fuxiflow explain config/demo.yaml`` names, for whatever would run, the setting, the function or the file
that has changed, then what follows only from that.
"""

import ast
import contextlib
import io
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.runtime import records
from fuxiflow.runtime.fingerprint import parts

WIDTH = 80


@dataclass(frozen=True)
class Planned:
    """A job of the plan: what it is, what Snakemake says of it (``before``, ``now``: values of parameters), and the
    resources that it asks for."""

    rule: str
    wildcards: dict[str, str]
    params: dict
    inputs: list[str]
    outputs: list[str]
    log: str
    needed: bool
    missing: list[str]
    newer: list[str]
    inputs_changed: bool
    environment_changed: bool
    before: set[str]
    now: set[str]
    resources: dict[str, float] = field(default_factory=dict)


def plan(*paths: Path, everything: bool = False) -> list[Planned]:
    """All jobs with products of a configuration, of several files each laid over those before, those that would run
    marked ``needed``.

    ``everything`` plans as if nothing had been made. Raises ValueError with what Snakemake says where it cannot plan.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
    )

    profile = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    triggers = RerunTrigger.parse_choices_set(profile["rerun-triggers"])
    try:
        # Snakemake's own account of the plan has no place here
        with (
            contextlib.redirect_stderr(io.StringIO()),
            SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api,
        ):
            settings = ConfigSettings(configfiles=[Path(path).resolve() for path in paths])
            workflow = api.workflow(
                ResourceSettings(cores=1), settings, snakefile=ROOT / "Snakefile", workdir=ROOT
            )
            workflow.dag(
                DAGSettings(forceall=everything, rerun_triggers=triggers)
            ).execute_workflow("dryrun")
            dag = workflow._workflow.dag
            needed = set(dag.needrun_jobs(exclude_finished=False))
            return [_planned(job, dag.reason(job), job in needed) for job in dag.jobs if job.output]
    except WorkflowError as error:
        raise ValueError(f"{', '.join(map(str, paths))}: {error}") from error


def _planned(job, reason, needed: bool) -> Planned:
    change = reason.params_changed
    return Planned(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        params=dict(job.params.items()),
        inputs=sorted(str(name) for name in job.input),
        outputs=[str(name) for name in job.output],
        log=str(job.log[0]) if job.log else "",
        needed=needed,
        missing=sorted(str(name) for name in reason.missing_output),
        newer=sorted(str(name) for name in reason.updated_input - reason.updated_input_run),
        inputs_changed=bool(reason.input_changed),
        environment_changed=bool(reason.software_stack_changed),
        before=set(change.only_old),
        now=set(change.only_new),
        resources={"threads": job.threads}
        | {name: value for name, value in job.resources.items() if isinstance(value, int | float)},
    )


def causes(job: Planned, record: dict | None, directory: Path) -> list[str]:
    """Why ``job`` itself would run, one line each; none where it only follows from others.

    ``record`` is that of the job's last run, None where there is none: then what Snakemake remembers has to do, which
    knows values but not which parameter had them.
    """
    if job.missing:
        return ["a product is missing"]
    if record and not record["params"]:
        return ["its last run was cut short"]
    found = [f"{name} is newer than the products" for name in job.newer]
    if record:
        old, new = record["params"], {name: repr(value) for name, value in job.params.items()}
        scripts = records.code_files(job.rule, job.params)
        for name in sorted(name for name in {*old, *new} if old.get(name) != new.get(name)):
            if name in scripts and name in old:
                found.extend(
                    code_changes(
                        records.read_code(directory, ast.literal_eval(old[name])),
                        parts(scripts[name]),
                    )
                )
            else:
                found.extend(changes(name, old.get(name), new.get(name)))
        found.extend(f"reads {name} too" for name in sorted({*job.inputs} - {*record["inputs"]}))
        found.extend(
            f"no longer reads {name}" for name in sorted({*record["inputs"]} - {*job.inputs})
        )
    else:
        names = [name for name, value in job.params.items() if repr(value) in job.now]
        found.extend(
            "its code, of which no record is kept"
            if name in ("code", "reader_code")
            else f"setting {name}: now {_short(repr(job.params[name]))}"
            for name in names
        )
        if job.before and not names:
            found.append("a parameter it no longer has")
        if job.inputs_changed:
            found.append("the set of its inputs")
    if job.environment_changed:
        found.append("its environment under envs/")
    return found


def changes(name: str, old: str | None, new: str | None) -> list[str]:
    """What differs between two values of a setting, as Python writes them, down to the keys of dictionaries."""

    def value(text):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    def compare(path, one, two) -> Iterator[str]:
        if isinstance(one, dict) and isinstance(two, dict):
            for key in sorted({*one, *two}, key=str):
                if key not in one:
                    yield f"setting {path}.{key}: new, {_short(repr(two[key]))}"
                elif key not in two:
                    yield f"setting {path}.{key}: gone, was {_short(repr(one[key]))}"
                elif one[key] != two[key]:
                    yield from compare(f"{path}.{key}", one[key], two[key])
        elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two) > 1:
            for i, (first, second) in enumerate(zip(one, two, strict=True)):
                if first != second:
                    yield from compare(f"{path}[{i}]", first, second)
        else:
            yield f"setting {path}: {_short(repr(one))} → {_short(repr(two))}"

    if old is None or new is None:
        return [
            f"setting {name}: "
            + (f"new, {_short(new)}" if old is None else f"gone, was {_short(old)}")
        ]
    return list(compare(name, value(old), value(new)))


def code_changes(old: dict | None, new: dict) -> list[str]:
    """Which definitions of which files differ between two fingerprints, see :func:`fuxiflow.runtime.fingerprint.parts`."""
    if old is None:
        return ["code: of what it was before, no record is kept"]
    found = []
    for name in sorted({*old, *new}):
        one, two = old.get(name), new.get(name)
        if one is None or two is None:
            found.append(f"code {name}: {'used now' if one is None else 'no longer used'}")
        elif one != two:
            what = [
                f"{part} {'is new' if part not in one else 'is gone' if part not in two else 'changed'}"
                for part in sorted({*one, *two})
                if one.get(part) != two.get(part)
            ]
            found.append(f"code {name}: {', '.join(what)}")
    return found or ["code: the order of definitions"]


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _named(jobs: list[Planned]) -> list[str]:
    """Jobs by rule, with what tells them apart where these are few."""
    by_rule = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(" ".join(job.wildcards.values()))
    return [
        rule
        + (
            f" ({'; '.join(names)})"
            if any(names) and len(names) <= 3
            else f" ({len(names)} jobs)"
            if len(names) > 1
            else ""
        )
        for rule, names in by_rule.items()
    ]


def report(jobs: list[Planned], directory: Path) -> str:
    """What would run and why, as text for a person; ``directory`` holds the records."""
    needed = [job for job in jobs if job.needed]
    if not needed:
        return "nothing would run: every product agrees with the configuration, the code and what it was made from"
    if len(needed) == len(jobs) and not any(
        (ROOT / name).exists() for job in jobs for name in job.outputs
    ):
        return f"nothing has been made yet: all {len(jobs)} jobs would run"
    known = records.read(directory)
    groups, following = defaultdict(list), []
    for job in needed:
        why = causes(job, known.get(job.outputs[0]), directory)
        groups[tuple(why)].append(job) if why else following.append(job)
    lines = [f"{len(needed)} of {len(jobs)} jobs would run"]
    for why, group in groups.items():
        lines += ["", *why, "    so these run:", _listed(_named(group))]
        if group[0].missing:
            lines.append(f"    missing, for one: {group[0].missing[0]}")
    if following:
        lines += ["", "and these, because what they read is made anew:", _listed(_named(following))]
    if spared := {job.rule for job in jobs} - {job.rule for job in needed}:
        lines += ["", "these do not run:", _listed(_by_stage(spared, {job.rule for job in jobs}))]
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    """Names, indented and wrapped."""
    return textwrap.fill(
        ", ".join(names),
        WIDTH + 40,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _by_stage(rules: set[str], every: set[str]) -> list[str]:
    """Rules by name; ``training_*`` where they are all of several of a stage."""
    names = []
    for stage in sorted({rule.split("_")[0] for rule in rules}):
        here, there = (
            [rule for rule in sorted(of) if rule.split("_")[0] == stage] for of in (rules, every)
        )
        names.extend([f"{stage}_*"] if here == there and len(here) > 1 else here)
    return names


def explain(*paths: Path) -> str:
    """:func:`report` on the configuration of these files."""
    directory = records.folder(ROOT / "results" / load_configuration(*paths).name)
    return report(plan(*paths), directory)
