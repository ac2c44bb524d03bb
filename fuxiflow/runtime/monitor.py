"""Listening to Snakemake: what it logs of its jobs becomes lines in the terminal and the status page.

The hooks of the Snakefile call :func:`start` and :func:`end`. They run in Snakemake's main process alone and not in dry
runs, with any executor and profile, so nothing has to be installed or named on the command line.
"""

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from fuxiflow.runtime import interruption, job_benchmarks, skill_so_far, status_page
from fuxiflow.runtime.failure_hints import LINES, diagnose, said
from fuxiflow.runtime.log_tail import last_lines
from fuxiflow.runtime.run_state import DONE, Job, Run

PAGE_EVERY = 15.0  # s between pages
LINE_EVERY = 60.0  # s between lines in the terminal
_running: list["Monitor"] = []


def plan(dag) -> dict[int, Job]:
    """All jobs of Snakemake's plan by their number, each after those that it waits for."""
    needed = set(dag.needrun_jobs(exclude_finished=False))
    jobs = {}
    for level in dag.toposorted():
        for job in sorted(level, key=lambda job: job.name):
            number = dag.jobid(job)
            planned = job in needed
            jobs[number] = Job(
                number,
                job.rule.name,
                dict(job.wildcards_dict),
                log=str(job.log[0]) if job.log else "",
                benchmark=str(job.benchmark or ""),
                after=tuple(dag.jobid(other) for other in dag.dependencies[job]),
                needs=_amounts(job.resources) if planned else {},
                target=not job.output,
                planned=planned,
                state=Job.state if planned else DONE,
            )
    return jobs


def _amounts(resources) -> dict[str, float]:
    """The resources that are numbers; some stand for others' values in another unit."""
    return {
        name: value
        for name, value in resources.items()
        if isinstance(value, int | float) and name not in ("runtime", "mem_mib", "disk_mib")
    }


def capacity(workflow) -> dict[str, float]:
    """What limits how many jobs run at once: cores here, jobs on a cluster, and what a profile names."""
    found = {}
    for name, given in workflow.global_resources.items():
        value = getattr(given, "value", given)
        if isinstance(value, int) and value < sys.maxsize:
            found[name] = value
    return found


class Monitor(logging.Handler):
    """Follows one run: a handler of Snakemake's log, and a thread that writes the page and the lines."""

    def __init__(
        self,
        run: Run,
        output: Path,
        retries: Mapping[int, object] | None = None,
        quiet: bool = False,
        stream=None,
    ):
        super().__init__(logging.INFO)
        self.run, self.output, self.retries, self.quiet = run, Path(output), retries or {}, quiet
        self.stream = stream or sys.stderr
        self.skill: list[skill_so_far.Skill] = []
        self._scored, self._said = 0.0, (time.monotonic(), "")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="status", daemon=True)

    def start(self) -> None:
        """Begin to write the page."""
        self.write(time.time())
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take an event of Snakemake's; called with the handler's lock held."""
        try:
            self.take(str(getattr(record, "event", "")), record, time.time())
        except Exception:
            self.handleError(record)

    def take(self, event: str, record, now: float) -> None:
        """Let the run know of an event: ``job_info`` as a job starts, ``job_finished``, ``job_error``, and of jobs that
        share an allocation ``group_error``, which the errors of its members follow, indented."""
        if event == "job_info":
            self.run.begin(record.jobid, now)
        elif event == "job_finished":
            self.run.finish(record.job_id, now)
        elif event == "job_error" and not getattr(record, "indent", False):
            self._failed(record.jobid, record.rule_name, record.log, record.rule_msg or "", now)
        elif event == "group_error":
            # all members count as failed; told are those whose logs have an error, where there are any
            members = record.job_error_info
            guilty = [one for one in members if self._error(one["log"])] or members
            for one in members:
                if one in guilty:
                    self._failed(
                        one["jobid"], one["rule_name"], [*one["log"], *record.aux_logs], "", now
                    )
                else:
                    self.run.drop(one["jobid"], _left(self.retries.get(one["jobid"])), now)

    def _error(self, logs: Iterable[str]) -> str:
        return "".join(said(last_lines(self.run.folder / log, LINES)) for log in logs)

    def _failed(
        self, number: int, rule: str, logs: Iterable[str], message: str, now: float
    ) -> None:
        """Tell of a failure, and keep it."""
        job = self.run.jobs.get(number)
        again = _left(self.retries.get(number))
        failure = diagnose(
            rule, job.wildcards if job else {}, logs, message, again, self.run.folder
        )
        self.run.failures.append(failure)
        self.run.drop(number, again, now)
        self.say(str(failure))

    def say(self, text: str) -> None:
        """Write lines to the terminal."""
        print(text, file=self.stream, flush=True)

    def line(self, now: float) -> str:
        """How the run stands, in one line."""
        counts = self.run.counts()
        told = [
            f"{counts[DONE]}/{counts['total']} jobs, left: {status_page.remaining(self.run, now)}"
        ]
        for job in self.run.running:
            tail = self.run.tails.get(job.id)
            if tail and (progress := tail.progress) and progress.done < progress.total:
                note = f", {progress.note}" if progress.note else ""
                told.append(f"{job.name} {progress.done}/{progress.total}{note}")
        return "; ".join(told[:5])

    def write(self, now: float) -> None:
        """Write the page, whole or not at all."""
        newest = max(
            (path.stat().st_mtime for path in self.output.parent.glob("scores/*/*.parquet")),
            default=0.0,
        )
        if newest > self._scored:
            self.skill, self._scored = skill_so_far.so_far(self.output.parent), newest
        text = status_page.render(self.run, self.skill, now)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        written = self.output.with_name(f".tmp-{os.getpid()}-{self.output.name}")
        written.write_text(text)
        os.replace(written, self.output)

    def look(self) -> None:
        """Read the logs of what runs, write the page, and a line where something has changed."""
        now = time.time()
        with self.lock:
            self.run.look(now)
            self.write(now)
            line = self.line(now)
        since, last = self._said
        if not self.quiet and time.monotonic() - since >= LINE_EVERY and line != last:
            self._said = time.monotonic(), line
            self.say(f"status: {line}")

    def _refresh(self) -> None:
        while not self._over.wait(PAGE_EVERY):
            try:
                self.look()
            except OSError as error:  # a full disk or a lost mount ends no run
                self.say(f"status: {self.output} could not be written: {error}")

    def end(self, success: bool) -> None:
        """Write the page for the last time, and say what failed; once."""
        if self._over.is_set():
            return
        self._over.set()
        now = time.time()
        with self.lock:
            self.run.end(success, now)
            self.write(now)
        lasting = [failure for failure in self.run.failures if not failure.again]
        if lasting:
            self.say(
                "\n".join(
                    [f"{len(lasting)} failed:", *map(str, lasting), f"all of it: {self.output}"]
                )
            )


def _left(job) -> bool:
    """Whether Snakemake will try a failed job again, before it counts the attempt."""
    return bool(job) and job.restart_times > job.attempt - 1


def start(workflow, results: str) -> Monitor | None:
    """Follow a run of Snakemake from now on, and let it end when it is told to; None where it only touches files."""
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness

    if workflow.touch:
        return None
    interruption.off_the_main_thread()
    jobs = plan(workflow.dag)
    folder = Path(results)
    run = Run(
        folder.name,
        Path.cwd(),
        jobs,
        job_benchmarks.typical(job_benchmarks.read(folder / "benchmarks")),
        capacity(workflow),
    )
    quiet = set(workflow.output_settings.quiet or ()) & {Quietness.ALL, Quietness.PROGRESS}
    monitor = Monitor(
        run,
        folder / "status.html",
        {workflow.dag.jobid(job): job for job in workflow.dag.jobs},
        bool(quiet),
    )
    logger.addHandler(monitor)
    _running.append(monitor)
    monitor.start()
    if not quiet:
        monitor.say(f"status: {monitor.output} shows how far the run is")
    atexit.register(end, False)
    return monitor


def end(success: bool) -> None:
    """The run is over; nothing where none was followed, or its end is known."""
    for monitor in _running:
        monitor.end(success)
