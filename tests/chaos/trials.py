"""Trials: one harm each, done in a copy of a finished run, and the verdict on what came of it."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import harms
from tests.chaos.jobs import Ended, JobCall, RunningJob, run_job
from tests.support import same_results

SAME = "same bits"
REFUSED = "refused"
SILENT = "SILENT"
UNCLEAR = "UNCLEAR"
CRASHED = "CRASHED"
VERDICTS = (SAME, REFUSED, SILENT, UNCLEAR, CRASHED)
BAD = (SILENT, UNCLEAR, CRASHED)
REMEDY = re.compile(
    r"\b(delete|remove|run (\S+ ){0,4}again|fetch|adopt|restore|make room|mount)", re.I
)


@dataclass(frozen=True)
class Verdict:
    """What became of a trial: one of :data:`VERDICTS`, the group that it counts for, and why."""

    group: str
    harm: str
    outcome: str
    detail: str = ""


@dataclass
class Bench:
    """A folder with a copy of a finished run, in which harm is done and undone.

    ``reference`` is the folder of the finished run, ``report`` a file for messages of jobs.
    """

    folder: Path
    reference: Path
    report: Path

    def reset(self, call: JobCall, keep_state: bool = False) -> None:
        """Remove what a job makes and, unless it is kept, its restart state."""
        for path in call.output_paths():
            harms.remove(self.folder / path)
        if (state := call.state()) and not keep_state:
            harms.remove(self.folder / state)

    def repair(self, paths: list[str]) -> None:
        """Put products back as the finished run has them, with what was noted of their bytes."""
        noted = {"/".join([*path.split("/")[:2], "checksums"]) for path in paths}
        for path in [*paths, *noted]:
            harms.restore(path, self.reference, self.folder)

    def differences(self, call: JobCall) -> list[str]:
        """What the products of a job hold other than in the finished run."""
        lines = []
        for path in call.output_paths():
            mine, theirs = self.folder / path, self.reference / path
            if not mine.exists():
                lines.append(f"{path} is not there")
            else:
                lines += differences(mine, theirs)
        return lines

    def judge(self, call: JobCall, ended: Ended, blamed: str = "") -> tuple[str, str]:
        """Tell what a job that met harm made of it.

        Parameters
        ----------
        call : JobCall
            The job.
        ended : Ended
            How it ended.
        blamed : str
            The path that a refusal must name.

        Returns
        -------
        tuple of str
            The outcome, and what shows it.
        """
        if ended.status == 0:
            lines = self.differences(call)
            return (SILENT, "; ".join(lines[:3])) if lines else (SAME, "")
        if ended.status < 0 or not ended.says:
            return CRASHED, f"status {ended.status}: {ended.log[-400:]}"
        if blamed in ended.text and REMEDY.search(ended.text):
            return REFUSED, ended.text
        lack = "remedy" if blamed in ended.text else f"name of {blamed}"
        return UNCLEAR, f"no {lack} in: {ended.text}"


def differences(one: Path, other: Path) -> list[str]:
    """Compare two products; folders without a format of their own by their files."""
    if one.is_dir() and one.suffix != ".zarr":
        return same_results.differences(one, other)
    if not one.is_dir() and not same_results.is_compared(one):
        return []
    return list(same_results.compare_products(one, other))


def harm_input(
    bench: Bench,
    product: str,
    reader: JobCall,
    maker: JobCall | None,
    harm: Callable[[Path, random.Random], harms.Harm],
    dice: random.Random,
) -> Verdict:
    """Harm a product and run a job that reads it; where it says what to delete, do so and repeat.

    Parameters
    ----------
    bench : Bench
        The copy of a finished run.
    product : str
        The path of the product.
    reader : JobCall
        The job.
    maker : JobCall or None
        The job that makes the product; where it is given, the remedy of a refusal is tried.
    harm : callable
        What is done.
    dice : random.Random
        Draws the place.

    Returns
    -------
    Verdict
        What became of it.
    """
    done = harm(bench.folder / product, dice)
    name = str(done).replace(f"{bench.folder}/", "")
    bench.reset(reader)
    outcome, detail = bench.judge(reader, run_job(reader, bench.folder, bench.report), product)
    if outcome == REFUSED and maker:
        named = re.findall(r"(?:delete|remove) ([^\s,;:'\"]+)", detail, re.I)
        fitting = [path for path in named if _holds(path, product) or _holds(product, path)]
        if not fitting:
            outcome, detail = UNCLEAR, f"the remedy names nothing to delete: {detail}"
        else:
            harms.remove(bench.folder / product)
            for call in (maker, reader):
                bench.reset(call)
                ended = run_job(call, bench.folder, bench.report)
                outcome, detail = bench.judge(call, ended)
                if outcome != SAME:
                    detail = f"after the remedy: {detail}"
                    outcome = UNCLEAR if outcome == REFUSED else outcome
                    break
            else:
                outcome = REFUSED
    bench.repair([product, *(maker.output_paths() if maker else ()), *reader.output_paths()])
    return Verdict(f"{maker_name(product)} ← {reader.rule}", name, outcome, detail)


def maker_name(product: str) -> str:
    """A product's kind for the table: its path without what tells one of a kind from another."""
    return re.sub(r"\d{4}-\d{2}", "{segment}", product.split("/", 2)[2])


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def kill_and_repeat(bench: Bench, call: JobCall, dice: random.Random) -> Verdict:
    """Kill a job at a moment drawn at random, with kill -9, and run it again.

    Half of the times its own process is killed alone, as for its memory, else all that it has
    started, as when a machine dies.
    """
    bench.reset(call)
    moment = call.seconds * dice.uniform(0.05, 1.0)
    whole = dice.random() < 0.5
    RunningJob(call, bench.folder, bench.report).kill(moment, children=whole)
    half_done = [path for path in call.output_paths() if (bench.folder / path).exists()]
    lines = [
        line
        for path in half_done
        for line in differences(bench.folder / path, bench.reference / path)
    ]
    harm = f"kill -9 of {call.name} after {moment:.1f} s" + (" with its children" if whole else "")
    if lines:
        bench.repair(call.output_paths())
        return Verdict(call.rule, harm, SILENT, f"left under its name: {lines[0]}")
    bench.reset(call, keep_state=True)
    outcome, detail = bench.judge(call, run_job(call, bench.folder, bench.report))
    bench.repair(call.output_paths())
    return Verdict(call.rule, harm, UNCLEAR if outcome == REFUSED else outcome, detail)


def run_two_copies(bench: Bench, call: JobCall, dice: random.Random) -> Verdict:
    """Start a job twice: one copy must do the work, the other must say that it is being done."""
    bench.reset(call)
    first = RunningJob(call, bench.folder, bench.report)
    first.process.join(call.seconds * dice.uniform(0.0, 0.4))
    second = RunningJob(call, bench.folder, bench.report.with_name(f"{bench.report.name}.second"))
    ended = [first.wait(), second.wait()]
    good = [one for one in ended if one.status == 0]
    refused = [one for one in ended if one.status != 0]
    lines = bench.differences(call)
    bench.repair(call.output_paths())
    harm = f"two copies of {call.name}"
    if lines or not good:
        says = "; ".join([*lines[:3], *(one.text for one in refused)])
        return Verdict(call.rule, harm, SILENT if good else CRASHED, says)
    if any(not re.search(r"process \d+", one.text) for one in refused):
        return Verdict(call.rule, harm, UNCLEAR, refused[0].text)
    return Verdict(
        call.rule, harm, REFUSED if refused else SAME, refused[0].text if refused else ""
    )
