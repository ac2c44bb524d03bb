"""Why jobs would run: the plan of a dry run beside the records of the last run.

``fuxiflow explain config/demo.yaml`` names, for whatever would run, the setting, the function or
the file that has changed, then what follows only from that.
"""

import ast
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.runtime import records
from fuxiflow.runtime.fingerprint import fingerprint_parts
from fuxiflow.runtime.snakemake_internals import PlannedJob, plan_jobs

WIDTH = 80


def causes(job: PlannedJob, record: dict | None, directory: Path) -> list[str]:
    """List why a job itself would run.

    Parameters
    ----------
    job : PlannedJob
        A job that would run.
    record : dict, optional
        The record of its last run. Where there is none, what Snakemake remembers has to do, which
        knows values but not which parameter had them.
    directory : Path
        The folder of records.

    Returns
    -------
    list of str
        One line a cause; empty where the job only follows from others.
    """
    if job.missing:
        return ["a product is missing"]
    if record and not record["params"]:
        return ["its last run was cut short"]
    lines = [f"{name} is newer than the products" for name in job.newer]
    lines += _recorded_causes(job, record, directory) if record else _remembered_causes(job)
    if job.environment_changed:
        lines.append("its environment under envs/")
    return lines


def _recorded_causes(job: PlannedJob, record: dict, directory: Path) -> Iterator[str]:
    """Compare parameters and inputs with a record.

    Parameters
    ----------
    job : PlannedJob
        A job that would run.
    record : dict
        The record of its last run.
    directory : Path
        The folder of records.

    Yields
    ------
    str
        A cause.
    """
    old = record["params"]
    compared = records.compared_params(job.params)
    new = {name: repr(value) for name, value in compared.items()}
    scripts = records.code_files(job.rule, job.params)
    for name in sorted(name for name in {*old, *new} if old.get(name) != new.get(name)):
        if name in scripts and name in old:
            before = records.read_code(directory, ast.literal_eval(old[name]))
            yield from code_changes(before, fingerprint_parts(scripts[name]))
        else:
            yield from setting_changes(name, old.get(name), new.get(name))
    yield from (f"reads {name} too" for name in sorted({*job.inputs} - {*record["inputs"]}))
    yield from (f"no longer reads {name}" for name in sorted({*record["inputs"]} - {*job.inputs}))


def _remembered_causes(job: PlannedJob) -> Iterator[str]:
    """Yield the causes that Snakemake knows."""
    names = [name for name, value in job.params.items() if repr(value) in job.now]
    for name in names:
        if name in ("code", "reader_code"):
            yield "its code, of which no record is kept"
        else:
            yield f"setting {name}: now {_short(repr(job.params[name]))}"
    if job.before and not names:
        yield "a parameter it no longer has"
    if job.inputs_changed:
        yield "the set of its inputs"


def setting_changes(name: str, old: str | None, new: str | None) -> list[str]:
    """Describe what differs between two values of a setting, down to the keys of dictionaries.

    Parameters
    ----------
    name : str
        The name of the parameter.
    old, new : str, optional
        Its values as Python writes them; None for a parameter that was not there.

    Returns
    -------
    list of str
        One line a difference.
    """
    if old is None:
        return [f"setting {name}: new, {_short(new)}"]
    if new is None:
        return [f"setting {name}: gone, was {_short(old)}"]
    return list(_value_changes(name, _evaluated(old), _evaluated(new)))


def _evaluated(text: str):
    """Return the value that a text stands for; the text where it is none of Python's own."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _value_changes(path: str, old, new) -> Iterator[str]:
    """Compare two values, those of dictionaries and of lists of one length one by one.

    Parameters
    ----------
    path : str
        The name of the parameter, with the keys so far.
    old, new : object
        The values.

    Yields
    ------
    str
        A difference.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=str):
            if key not in old:
                yield f"setting {path}.{key}: new, {_short(repr(new[key]))}"
            elif key not in new:
                yield f"setting {path}.{key}: gone, was {_short(repr(old[key]))}"
            elif old[key] != new[key]:
                yield from _value_changes(f"{path}.{key}", old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) > 1:
        for i, (first, second) in enumerate(zip(old, new, strict=True)):
            if first != second:
                yield from _value_changes(f"{path}[{i}]", first, second)
    else:
        yield f"setting {path}: {_short(repr(old))} → {_short(repr(new))}"


def code_changes(old: dict | None, new: dict) -> list[str]:
    """List the definitions that differ between what two fingerprints are made of.

    ``old`` and ``new`` are of :func:`fuxiflow.runtime.fingerprint.fingerprint_parts`; None where
    nothing is recorded of the older one.
    """
    if old is None:
        return ["code: of what it was before, no record is kept"]
    lines = []
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before is None or now is None:
            lines.append(f"code {name}: {'used now' if before is None else 'no longer used'}")
        elif before != now:
            parts = [
                f"{part} {_change_of(part, before, now)}"
                for part in sorted({*before, *now})
                if before.get(part) != now.get(part)
            ]
            lines.append(f"code {name}: {', '.join(parts)}")
    return lines


def _change_of(part: str, before: dict, now: dict) -> str:
    """Name the change of a definition.

    Parameters
    ----------
    part : str
        The definition.
    before, now : dict
        Digests by definition, of which at least one has it.

    Returns
    -------
    str
        The end of a sentence about it.
    """
    return "is new" if part not in before else "is gone" if part not in now else "changed"


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _names(jobs: Iterable[PlannedJob]) -> list[str]:
    """Name jobs by rule, with what tells them apart where these are few."""
    by_rule = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(" ".join(job.wildcards.values()))
    names = []
    for rule, wildcards in by_rule.items():
        if any(wildcards) and len(wildcards) <= 3:
            names.append(f"{rule} ({'; '.join(wildcards)})")
        else:
            names.append(f"{rule} ({len(wildcards)} jobs)" if len(wildcards) > 1 else rule)
    return names


def report(jobs: list[PlannedJob], directory: Path) -> str:
    """Describe what would run and why; ``directory`` holds the records."""
    needed = [job for job in jobs if job.needed]
    if not needed:
        return (
            "nothing would run: every product agrees with the configuration, the code and what it "
            "was made from"
        )
    outputs = (ROOT / name for job in jobs for name in job.outputs)
    if len(needed) == len(jobs) and not any(path.exists() for path in outputs):
        return f"nothing has been made yet: all {len(jobs)} jobs would run"
    recorded = records.records_by_product(directory)
    groups, following = defaultdict(list), []
    for job in needed:
        why = causes(job, recorded.get(job.outputs[0]), directory)
        groups[tuple(why)].append(job) if why else following.append(job)
    lines = [f"{len(needed)} of {len(jobs)} jobs would run"]
    for why, group in groups.items():
        lines += ["", *why, "    so these run:", _listed(_names(group))]
        if group[0].missing:
            lines.append(f"    missing, for one: {group[0].missing[0]}")
    if following:
        lines += ["", "and these, because what they read is made anew:", _listed(_names(following))]
    every = {job.rule for job in jobs}
    if spared := every - {job.rule for job in needed}:
        lines += ["", "these do not run:", _listed(_by_stage(spared, every))]
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    """Join names, indented and wrapped."""
    return textwrap.fill(
        ", ".join(names),
        WIDTH + 40,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _by_stage(rules: set[str], every: set[str]) -> list[str]:
    """Name rules; ``training_*`` where they are all of several of a stage."""
    names = []
    for stage in sorted({rule.split("_")[0] for rule in rules}):
        some, all_of_stage = (
            [rule for rule in sorted(group) if rule.split("_")[0] == stage]
            for group in (rules, every)
        )
        names.extend([f"{stage}_*"] if some == all_of_stage and len(some) > 1 else some)
    return names


def explain(*paths: Path) -> str:
    """Return the report on the configuration of these files, each laid over those before."""
    directory = records.records_folder(ROOT / "results" / load_configuration(*paths).name)
    return report(plan_jobs(*paths), directory)
