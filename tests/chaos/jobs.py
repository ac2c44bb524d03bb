"""Jobs of a plan, run one by one without Snakemake: in a process of their own, in any folder.

Snakemake needs seconds to plan before it starts a job. A test that runs hundreds of jobs plans once
and then calls each script with what Snakemake would have handed it, in processes that are forked
from one that has the libraries loaded.
"""

import importlib.util
import json
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from fuxiflow import ROOT
from fuxiflow import cli as command_line
from fuxiflow.runtime.failure_hints import diagnose
from fuxiflow.runtime.job_benchmarks import benchmark_seconds
from fuxiflow.runtime.snakemake_internals import plan_jobs

PRELOADED = [
    "numba",
    "torch",
    "xarray",
    "zarr",
    "h5py",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "fuxiflow.cli",
    "fuxiflow.runtime.rule_runner",
    "fuxiflow.verification.cases",
    "fuxiflow.training.trainer",
    "fuxiflow.cycling.analyses",
    "fuxiflow.observations.ingest",
    "fuxiflow.states.decoding",
]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(PRELOADED)


@dataclass(frozen=True)
class JobCall:
    """What Snakemake hands the script of a job, and how long it took in the finished run, in s."""

    rule: str
    wildcards: dict
    inputs: dict
    outputs: dict
    params: dict
    resources: dict
    log: str
    seconds: float

    @property
    def name(self) -> str:
        """The rule and the values of its wildcards."""
        return " ".join([self.rule, *map(str, self.wildcards.values())])

    def input_paths(self) -> list[str]:
        """All files and folders that it reads."""
        return flat(self.inputs)

    def output_paths(self) -> list[str]:
        """All files and folders that it makes."""
        return flat(self.outputs)

    def state(self) -> str | None:
        """The folder of its restart state, where it has one."""
        return self.params.get("state") or self.params.get("saving", {}).get("state")


@dataclass
class Ended:
    """How a job ended: its exit status, and what a person is told about a failure."""

    status: int
    says: str = ""
    remedy: str = ""
    log: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """The message and the remedy."""
        return f"{self.says}\n{self.remedy}"


def flat(named: dict) -> list[str]:
    """The paths of named entries, of which each is one or a list."""
    return [
        path for value in named.values() for path in (value if isinstance(value, list) else [value])
    ]


def planned_calls(configuration: Path, folder: Path) -> list[JobCall]:
    """All jobs with a script, in an order in which each comes after those that it needs.

    Parameters
    ----------
    configuration : Path
        The file of the configuration.
    folder : Path
        Where it was run; benchmarks there tell how long each job took.

    Returns
    -------
    list of JobCall
        The jobs.
    """
    calls = [
        JobCall(
            job.rule,
            job.wildcards,
            job.named_inputs,
            job.named_outputs,
            job.params,
            job.resources,
            job.log,
            benchmark_seconds(
                folder / Path(job.log.replace("/logs/", "/benchmarks/")).with_suffix(".tsv")
            )
            or 5.0,
        )
        for job in plan_jobs(configuration, everything=True)
        if job.log
    ]
    made = {path for call in calls for path in call.output_paths()}
    ordered, there = [], set()
    while calls:
        ready = [call for call in calls if not (set(call.input_paths()) & made) - there]
        assert ready, "the plan has a circle"
        ordered += ready
        there |= {path for call in ready for path in call.output_paths()}
        calls = [call for call in calls if call not in ready]
    return ordered


def _enter(folder: str, text: str) -> None:
    """Make this process the first of a session of its own, in a folder, that writes to a file."""
    os.setsid()
    os.chdir(folder)
    written = os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(written, 1)
    os.dup2(written, 2)


def _verify(results: str, folder: str, text: str) -> None:
    """Run ``fuxiflow verify`` as the command line does; the body of a process."""
    _enter(folder, text)
    sys.exit(command_line.main(["verify", results]))


def run_verify(results: str, folder: Path, text: Path) -> tuple[int, str]:
    """Verify results in a folder; return the exit status and all that was written.

    ``text`` is a file that takes what is written.
    """
    process = PROCESSES.Process(target=_verify, args=(results, str(folder), str(text)))
    process.start()
    process.join()
    return process.exitcode, text.read_text(encoding="utf-8", errors="replace")


def _work(call: JobCall, folder: str, report: str) -> None:
    """Run the script of a job as Snakemake would; the body of a process."""
    _enter(folder, f"{report}.text")
    script = ROOT / "workflow" / "scripts" / f"{call.rule}.py"
    spec = importlib.util.spec_from_file_location(f"script_{call.rule}", script)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        from fuxiflow.runtime.rule_runner import run

        run(
            module.main,
            SimpleNamespace(
                rule=call.rule,
                wildcards=call.wildcards,
                input=call.inputs,
                output=call.outputs,
                params=call.params,
                threads=call.resources["threads"],
                resources=call.resources,
                log=[call.log],
            ),
        )
    except BaseException as error:
        says = f"{type(error).__name__}: {error}"
        Path(report).write_text(json.dumps({"says": says}), encoding="utf-8")
        sys.stderr.flush()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


class RunningJob:
    """A job that was started in a folder."""

    def __init__(self, call: JobCall, folder: Path, report: Path):
        report.unlink(missing_ok=True)
        self.call, self.folder, self.report = call, folder, report
        self.process = PROCESSES.Process(target=_work, args=(call, str(folder), str(report)))
        self.process.start()

    def kill(self, after: float, children: bool) -> None:
        """Kill it after a time in s, alone or with all processes that it has started."""
        self.process.join(after)
        if self.process.is_alive():
            with suppress(ProcessLookupError):  # it may have just ended, or have no group yet
                if children:
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.join()

    def wait(self, limit: float = 300.0) -> Ended:
        """Wait until it has ended; one that takes longer than ``limit`` s is killed: status -9."""
        self.process.join(limit)
        if self.process.is_alive():
            self.kill(0.0, children=True)
        status = self.process.exitcode
        log = ""
        for path in (
            self.report.with_name(f"{self.report.name}.text"),
            self.folder / self.call.log,
        ):
            if path.exists():
                log += path.read_text(encoding="utf-8", errors="replace")
        if status == 0:
            return Ended(0, log=log)
        says = ""
        if self.report.exists():
            says = json.loads(self.report.read_text(encoding="utf-8"))["says"]
        failure = diagnose(self.call.rule, self.call.wildcards, [self.call.log], folder=self.folder)
        return Ended(status, says, failure.remedy, log)


def run_job(call: JobCall, folder: Path, report: Path) -> Ended:
    """Run a job in a folder to its end."""
    return RunningJob(call, folder, report).wait()
