"""Harm a finished run of ``config/test.yaml`` in hundreds of ways: ``python -m tests.chaos``.

Runs the configuration in a copy of this checkout (or takes the copy that ``--finished`` names),
then does harm to copies of its results: flipped bytes, truncated and missing files of every kind of
product, kill -9 of a job of every rule, two copies of a job, a full disk, an input that is not
mounted, a kill of the whole workflow. After each the job that meets the harm is run again. Either
it ends with the same bits as in the undisturbed run, or with an error that names the file and what
to do; what the error asks for is done once for each product. Prints a table, and exits with 1 where
a harm was silent, an error unclear, or a process crashed.

The places are drawn with ``--seed``; the same seed does the same harm.
"""

import argparse
import itertools
import queue
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from fuxiflow import ROOT
from fuxiflow.progress import Progress
from tests.chaos import harms, surroundings
from tests.chaos.jobs import JobCall, planned_calls
from tests.chaos.trials import (
    BAD,
    VERDICTS,
    Bench,
    Verdict,
    harm_input,
    kill_and_repeat,
    maker_name,
    run_two_copies,
)
from tests.workflow.workbench import Workbench

CONFIGURATION = ROOT / "config" / "test.yaml"
FLIPS = 160
WAITING = ("figure_costs",)
"""Rules that wait for their inputs and read none of them."""
UNREACHABLE = 24
"""Kinds of products of which one that is read becomes a link to a place that is not mounted."""
LONGEST_READER = 8.0
"""s; a product whose quickest reader takes longer is verified by ``fuxiflow verify`` alone."""
LONGEST_DOUBLE = 5.0
"""s; a job that takes longer is not started twice."""
LONGEST_MAKER = 12.0
"""s; the remedy of a refusal is tried where making the product anew takes no longer."""

Trial = Callable[[Bench], Verdict]


def readers_by_product(calls: Iterable[JobCall]) -> dict[str, list[JobCall]]:
    """The jobs that read a product, the quickest first."""
    readers = defaultdict(list)
    for call in calls:
        if call.rule in WAITING:
            continue
        for path in call.input_paths():
            readers[path].append(call)
    return {path: sorted(jobs, key=lambda job: job.seconds) for path, jobs in readers.items()}


def product_kinds(calls: Iterable[JobCall], folder: Path) -> dict[str, list[str]]:
    """The products of a run by kind."""
    kinds = defaultdict(list)
    for call in calls:
        for path in call.output_paths():
            if (folder / path).exists():
                kinds[maker_name(path)].append(path)
    return dict(kinds)


def input_trials(
    calls: list[JobCall], folder: Path, flips: int, dice: random.Random
) -> list[tuple[float, Trial]]:
    """Trials of harmed inputs, each with the time in s that it may take.

    Parameters
    ----------
    calls : list of JobCall
        All jobs.
    folder : Path
        The finished run.
    flips : int
        How many bytes are flipped.
    dice : random.Random
        Draws products and places.

    Returns
    -------
    list of tuple
        Times and trials.
    """
    readers = readers_by_product(calls)
    makers = {path: call for call in calls for path in call.output_paths()}
    trials = []
    pairs = []
    kinds = product_kinds(calls, folder)
    unreachable = dice.sample(sorted(kinds), min(UNREACHABLE, len(kinds)))
    for kind, products in sorted(kinds.items()):
        read = [path for path in products if path in readers]
        read = [path for path in read if readers[path][0].seconds <= LONGEST_READER]
        if not read:
            trials += [
                (
                    3.0,
                    partial(
                        surroundings.verify_harmed,
                        product=dice.choice(products),
                        harm=harm,
                        dice=random.Random(f"{kind} {harm.__name__}"),
                    ),
                )
                for harm in (harms.flip, harms.truncate, harms.remove_file)
            ]
            continue
        pairs.append((kind, read))
        dangled = [harms.dangle] if kind in unreachable else []
        for harm in (harms.truncate, harms.remove_file, *dangled):
            product = dice.choice(read)
            trials.append(
                (
                    readers[product][0].seconds,
                    partial(
                        harm_input,
                        product=product,
                        reader=readers[product][0],
                        maker=None,
                        harm=harm,
                        dice=random.Random(f"{kind} {harm.__name__} {dice.random()}"),
                    ),
                )
            )
    seen: set[str] = set()
    for kind, read in itertools.islice(itertools.cycle(pairs), flips):
        product = dice.choice(read)
        reader, maker = readers[product][0], makers[product]
        tried = kind not in seen and maker.seconds <= LONGEST_MAKER
        seen.add(kind)
        trials.append(
            (
                reader.seconds + (maker.seconds if tried else 0.0),
                partial(
                    harm_input,
                    product=product,
                    reader=reader,
                    maker=maker if tried else None,
                    harm=harms.flip,
                    dice=random.Random(f"{kind} flip {dice.random()}"),
                ),
            )
        )
    return trials


def job_trials(calls: list[JobCall], dice: random.Random) -> list[tuple[float, Trial]]:
    """Trials of killed and doubled jobs: the quickest job of each rule, with the time in s."""
    quickest: dict[str, JobCall] = {}
    for call in sorted(calls, key=lambda call: call.seconds):
        quickest.setdefault(call.rule, call)
    trials = []
    for call in quickest.values():
        seed = f"{call.name} {dice.random()}"
        trials.append(
            (2 * call.seconds, partial(kill_and_repeat, call=call, dice=random.Random(seed)))
        )
        if call.seconds <= LONGEST_DOUBLE:
            trials.append(
                (2 * call.seconds, partial(run_two_copies, call=call, dice=random.Random(seed)))
            )
    return trials


def carry_out(trials: list[tuple[float, Trial]], finished: Path, workers: int) -> list[Verdict]:
    """Do trials, the longest first, each worker in a copy of the finished run of its own.

    Parameters
    ----------
    trials : list of tuple
        Times in s and trials.
    finished : Path
        The folder in which the configuration was run.
    workers : int
        How many are done at once.

    Returns
    -------
    list of Verdict
        What became of them.
    """
    todo: queue.SimpleQueue[Trial] = queue.SimpleQueue()
    for _, trial in sorted(trials, key=lambda item: -item[0]):
        todo.put(trial)
    verdicts: list[Verdict] = []
    progress = Progress(len(trials), "harms", surroundings.LOG)
    lock = threading.Lock()

    def work(folder: Path) -> None:
        bench = Bench(folder, finished, folder.with_name(f"{folder.name}.report"))
        while not todo.empty():
            try:
                trial = todo.get_nowait()
            except queue.Empty:
                return
            verdict = trial(bench)
            with lock:
                verdicts.append(verdict)
                progress.step()
                if verdict.outcome in BAD:
                    print(f"{verdict.outcome}: {verdict.harm} ({verdict.group})", flush=True)
                    print(f"  {' '.join(verdict.detail.split())[:600]}", flush=True)

    with tempfile.TemporaryDirectory(dir=finished.parent) as scratch:
        threads = []
        for number in range(workers):
            folder = Path(scratch) / f"worker{number}"
            shutil.copytree(finished / "results", folder / "results", copy_function=shutil.copy2)
            threads.append(threading.Thread(target=work, args=(folder,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """The verdicts as a table in Markdown: a row a kind of harm, a column an outcome."""
    counts = Counter((_kind(verdict.harm), verdict.outcome) for verdict in verdicts)
    rows = sorted({kind for kind, _ in counts})
    lines = [
        f"| harm | trials | {' | '.join(VERDICTS)} |",
        f"|---|---{'|---' * len(VERDICTS)}|",
    ]
    for row in [*rows, "all"]:
        of_row = [
            sum(n for (kind, one), n in counts.items() if one == outcome and row in (kind, "all"))
            for outcome in VERDICTS
        ]
        lines.append(f"| {row} | {sum(of_row)} | {' | '.join(map(str, of_row))} |")
    return "\n".join(lines)


def _kind(harm: str) -> str:
    if harm.startswith("kill -9 of the workflow"):
        return "kill -9 of the workflow"
    kinds = ("flipped byte", "truncated", "missing", "unreachable", "kill -9 of", "two copies")
    for kind in kinds:
        if harm.startswith(kind):
            return {"kill -9 of": "kill -9 of a job", "two copies": "two copies of a job"}.get(
                kind, kind
            )
    return harm.split(":")[0]


def main() -> int:
    """Run the configuration, do the harm, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--finished", type=Path, help="a checkout with a finished run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flips", type=int, default=FLIPS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="trials whose verdict's group or harm has this")
    parser.add_argument("--table", type=Path, help="where the table is written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        finished = options.finished
        if finished is None:
            bench = Workbench(Path(scratch) / "fuxiflow")
            print("an undisturbed run of config/test.yaml", flush=True)
            bench.snakemake("--cores", "2")
            finished = bench.folder
        finished = finished.resolve()
        calls = planned_calls(CONFIGURATION, finished)
        dice = random.Random(options.seed)
        trials = input_trials(calls, finished, options.flips, dice)
        trials += job_trials(calls, dice)
        trials += surroundings.trials(calls, dice)
        if options.only:
            trials = [trial for trial in trials if options.only in _words(trial[1])]
        print(f"{len(trials)} harms, about {sum(t for t, _ in trials) / 2:.0f} s", flush=True)
        verdicts = carry_out(trials, finished, options.workers)
    text = table(verdicts)
    print(text)
    if options.table:
        options.table.write_text(f"{text}\n", encoding="utf-8")
    bad = [verdict for verdict in verdicts if verdict.outcome in BAD]
    print(f"{len(verdicts)} harms: {len(bad)} silent, unclear or crashed")
    return int(bool(bad))


def _words(trial: Trial) -> str:
    keywords = trial.keywords
    named = [keywords[key].name for key in ("reader", "call") if keywords.get(key)]
    harm = [keywords["harm"].__name__] if "harm" in keywords else []
    return " ".join([trial.func.__name__, str(keywords.get("product", "")), *named, *harm])


if __name__ == "__main__":
    sys.exit(main())
