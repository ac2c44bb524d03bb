"""Follow a run of Snakemake: what it logs of its jobs becomes lines and a status page.

The hooks of the Snakefile call :func:`start_monitor` and :func:`end_monitor`. They run in the main
process of Snakemake alone and not in dry runs, with any executor and profile, so nothing has to be
installed or named on the command line.
"""

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fuxiflow.runtime import snakemake_internals
from fuxiflow.runtime.data_warnings import read_warnings
from fuxiflow.runtime.failure_hints import LINES, diagnose, error_line
from fuxiflow.runtime.job_benchmarks import read_benchmarks, typical_seconds
from fuxiflow.runtime.log_tail import last_lines
from fuxiflow.runtime.records import accept_products
from fuxiflow.runtime.run_state import DONE, Run
from fuxiflow.runtime.skill_so_far import Skill, read_skill
from fuxiflow.runtime.status_page import remaining, render_page

PAGE_EVERY = 15.0  # s between pages
LINE_EVERY = 60.0  # s between lines in the terminal
_running: list["Monitor"] = []
_touched: list[tuple] = []


def _never(number: int) -> bool:
    return False


class Monitor(logging.Handler):
    """A handler of Snakemake's log, and a thread that writes the status page and the lines."""

    def __init__(
        self,
        run: Run,
        output: Path,
        is_tried_again: Callable[[int], bool] = _never,
        quiet: bool = False,
        stream=None,
    ):
        """Prepare to follow a run.

        Parameters
        ----------
        run : Run
            The state of the run, which events change.
        output : Path
            The status page.
        is_tried_again : callable
            Says of a job, by number, whether Snakemake tries it again once it has failed.
        quiet : bool
            Whether to write no lines about progress.
        stream : text stream, optional
            Where lines go, standard error by default.
        """
        super().__init__(logging.INFO)
        self.run = run
        self.output = Path(output)
        self.is_tried_again = is_tried_again
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.skill: list[Skill] = []
        self._scored = 0.0
        self._last_line = (time.monotonic(), "")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="status", daemon=True)

    def start(self) -> None:
        """Begin to write the page."""
        self.write_page(time.time())
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take an event of Snakemake; called with the handler's lock held."""
        try:
            self.take(str(getattr(record, "event", "")), record, time.time())
        except Exception:
            self.handleError(record)

    def take(self, event: str, record, now: float) -> None:
        """Change the state of the run by an event.

        Parameters
        ----------
        event : str
            ``job_info`` as a job starts, ``job_finished``, ``job_error``, and of jobs that share
            an allocation ``group_error``, which the errors of its members follow, indented.
        record : logging.LogRecord
            What Snakemake logs of the event.
        now : float
            The time, in s.
        """
        if event == "job_info":
            self.run.begin(record.jobid, now)
        elif event == "job_finished":
            self.run.finish(record.job_id, now)
        elif event == "job_error" and not getattr(record, "indent", False):
            self._fail(record.jobid, record.rule_name, record.log, record.rule_msg or "", now)
        elif event == "group_error":
            # all members count as failed; those are reported whose logs have an error, if any have
            members = record.job_error_info
            guilty = [one for one in members if self._error_in(one["log"])] or members
            for one in members:
                number = one["jobid"]
                if one in guilty:
                    self._fail(number, one["rule_name"], [*one["log"], *record.aux_logs], "", now)
                else:
                    self.run.drop(number, self.is_tried_again(number), now)

    def _error_in(self, logs: Iterable[str]) -> str:
        return "".join(error_line(last_lines(self.run.folder / log, LINES)) for log in logs)

    def _fail(self, number: int, rule: str, logs: Iterable[str], message: str, now: float) -> None:
        """Report a failure, and keep it for the page.

        Parameters
        ----------
        number : int
            The number of the job.
        rule : str
            The name of its rule.
        logs : iterable of str
            Its logs, relative to the folder of the run.
        message : str
            What Snakemake says.
        now : float
            The time, in s.
        """
        job = self.run.jobs.get(number)
        again = self.is_tried_again(number)
        wildcards = job.wildcards if job else {}
        failure = diagnose(rule, wildcards, logs, message, again, self.run.folder)
        self.run.failures.append(failure)
        self.run.drop(number, again, now)
        self.say(str(failure))

    def say(self, text: str) -> None:
        """Write lines to the terminal."""
        print(text, file=self.stream, flush=True)

    def line(self, now: float) -> str:
        """Return how the run stands, in one line."""
        counts = self.run.counts()
        parts = [f"{counts[DONE]}/{counts['total']} jobs, left: {remaining(self.run, now)}"]
        for job in self.run.running:
            tail = self.run.tails.get(job.id)
            if tail and (progress := tail.progress) and progress.done < progress.total:
                note = f", {progress.note}" if progress.note else ""
                parts.append(f"{job.name} {progress.done}/{progress.total}{note}")
        return "; ".join(parts[:5])

    def write_page(self, now: float) -> None:
        """Write the page, whole or not at all."""
        results = self.output.parent
        newest = max(
            (path.stat().st_mtime for path in results.glob("scores/*/*.parquet")), default=0.0
        )
        if newest > self._scored:
            self.skill, self._scored = read_skill(results), newest
        text = render_page(self.run, self.skill, now, read_warnings(results))
        results.mkdir(parents=True, exist_ok=True)
        temporary = self.output.with_name(f".tmp-{os.getpid()}-{self.output.name}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self.output)

    def look(self) -> None:
        """Read the logs of what runs, write the page, and a line where something has changed."""
        now = time.time()
        with self.lock:
            self.run.look(now)
            self.write_page(now)
            line = self.line(now)
        since, last = self._last_line
        if not self.quiet and time.monotonic() - since >= LINE_EVERY and line != last:
            self._last_line = time.monotonic(), line
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
            self.write_page(now)
        lasting = [failure for failure in self.run.failures if not failure.again]
        if lasting:
            lines = [f"{len(lasting)} failed:", *map(str, lasting), f"all of it: {self.output}"]
            self.say("\n".join(lines))


def start_monitor(workflow, results: str) -> Monitor | None:
    """Follow a run of Snakemake from now on, and let it end when it is told to.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, once it is planned.
    results : str
        The folder of the results of the configuration, where the status page goes.

    Returns
    -------
    Monitor or None
        What follows the run; None where the run only touches products.
    """
    from snakemake.logging import logger

    if workflow.touch:
        _touched.extend(snakemake_internals.touched_records(workflow))
        return None
    snakemake_internals.handle_sigterm_in_a_thread()
    folder = Path(results)
    run = Run(
        folder.name,
        Path.cwd(),
        snakemake_internals.planned_jobs(workflow),
        typical_seconds(read_benchmarks(folder / "benchmarks")),
        snakemake_internals.capacity(workflow),
    )
    monitor = Monitor(
        run,
        folder / "status.html",
        snakemake_internals.retries(workflow),
        snakemake_internals.is_quiet(workflow),
    )
    logger.addHandler(monitor)
    _running.append(monitor)
    monitor.start()
    if not monitor.quiet:
        monitor.say(f"status: {monitor.output} shows how far the run is")
    atexit.register(end_monitor, False)
    return monitor


def end_monitor(success: bool) -> None:
    """Note the end of a run; nothing where none was followed, or its end is noted."""
    for monitor in _running:
        monitor.end(success)
    while success and _touched:
        accept_products(*_touched.pop())
