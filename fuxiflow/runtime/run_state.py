"""The state of a run: its jobs by stage, what became of them, and when the rest may be done."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fuxiflow.runtime import job_benchmarks
from fuxiflow.runtime.failure_hints import Failure
from fuxiflow.runtime.job_scheduling import Task, simulate
from fuxiflow.runtime.log_tail import Tail

WAITING = "waiting"
SUBMITTED = "submitted"
DONE = "done"
FAILED = "failed"
STAGES = (
    "world",
    "archive",
    "states",
    "observations",
    "simulation",
    "training",
    "cycling",
    "verification",
    "cyclones",
    "figures",
)
"""The stages of the workflow, in its order; the name of a rule starts with its stage."""


def stage_of(rule: str) -> str:
    """Return the stage of a rule."""
    stage = rule.split("_")[0]
    return "figures" if stage == "figure" else stage


def stage_rank(stage: str) -> int:
    """Return where a stage stands in the workflow; unknown ones come last."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


@dataclass
class Job:
    """A job of the plan.

    ``planned`` says whether this run makes its products, ``target`` whether it has none. A job is
    ``begun`` when Snakemake starts it or hands it to the cluster, ``seen`` once it writes its log,
    and ``ended``, each a time in s, 0 before. ``after`` are the jobs that it waits for, ``needs``
    the resources that it takes.
    """

    id: int
    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    benchmark: str = ""
    after: tuple[int, ...] = ()
    needs: Mapping[str, float] = field(default_factory=dict)
    target: bool = False
    planned: bool = True
    state: str = WAITING
    begun: float = 0.0
    seen: float = 0.0
    ended: float = 0.0

    @property
    def stage(self) -> str:
        """Return the stage of its rule."""
        return stage_of(self.rule)

    @property
    def name(self) -> str:
        """Return the rule and the values of its wildcards."""
        return " ".join([self.rule, *map(str, self.wildcards.values())])


@dataclass(frozen=True)
class Estimate:
    """The ``seconds`` until all may be done, without ``unknown`` jobs of rules never timed."""

    seconds: float
    unknown: int


@dataclass
class Run:
    """The state of a run.

    ``folder`` is what the names of logs are relative to. ``typical`` holds the time of rules in s
    from earlier runs, ``capacity`` the resources that limit how many jobs run at once.
    """

    name: str
    folder: Path
    jobs: dict[int, Job]
    typical: dict[str, float] = field(default_factory=dict)
    capacity: Mapping[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    ended: float | None = None
    outcome: str = "running"
    failures: list[Failure] = field(default_factory=list)
    tails: dict[int, Tail] = field(default_factory=dict)
    _taken: dict[str, list[float]] = field(default_factory=dict)

    def begin(self, number: int, now: float) -> None:
        """Note that a job is started, or handed to the cluster."""
        if job := self.jobs.get(number):
            job.state, job.begun, job.seen = SUBMITTED, now, 0.0
            if job.log:
                self.tails[number] = Tail(self.folder / job.log)

    def finish(self, number: int, now: float) -> None:
        """Note that a job has ended well."""
        if job := self.jobs.get(number):
            job.state, job.ended = DONE, now
            if job.begun and not job.target:
                measured = (
                    job_benchmarks.benchmark_seconds(self.folder / job.benchmark)
                    if job.benchmark
                    else None
                )
                self._taken.setdefault(job.rule, []).append(
                    now - job.begun if measured is None else measured
                )
            if tail := self.tails.get(number):
                tail.update()

    def drop(self, number: int, again: bool, now: float) -> None:
        """Note that a job has ended without its products.

        Parameters
        ----------
        number : int
            The job.
        again : bool
            Whether it is tried again, so that it waits.
        now : float
            The time, in s.
        """
        if job := self.jobs.get(number):
            job.state, job.ended = WAITING if again else FAILED, now

    def end(self, success: bool, now: float) -> None:
        """Note that the run is over."""
        self.ended = now
        failed = any(job.state == FAILED for job in self.jobs.values())
        self.outcome = "finished" if success else "failed" if failed else "stopped"

    @property
    def running(self) -> list[Job]:
        """Return the jobs that were started and have not ended."""
        return [job for job in self.jobs.values() if job.state == SUBMITTED and not job.target]

    def look(self, now: float) -> None:
        """Read in the logs what the running jobs have done since the last look."""
        for job in self.running:
            if not job.seen and not self.queued(job):
                job.seen = now
            if tail := self.tails.get(job.id):
                tail.update()

    def queued(self, job: Job) -> bool:
        """Say whether a submitted job has not begun: no log is newer than its submission."""
        try:
            return bool(job.log) and (self.folder / job.log).stat().st_mtime < job.begun - 1
        except OSError:
            return True

    def counts(self, jobs: Iterable[Job] | None = None) -> dict[str, int]:
        """Count jobs by state, targets apart; ``planned`` counts those of this run."""
        every = [job for job in (self.jobs.values() if jobs is None else jobs) if not job.target]
        counts = {
            state: sum(job.state == state for job in every)
            for state in (WAITING, SUBMITTED, DONE, FAILED)
        }
        return counts | {"total": len(every), "planned": sum(job.planned for job in every)}

    def stages(self) -> dict[str, list[Job]]:
        """Return jobs by stage, in the order of the workflow."""
        by_stage = {}
        for job in self.jobs.values():
            if not job.target:
                by_stage.setdefault(job.stage, []).append(job)
        return dict(sorted(by_stage.items(), key=lambda item: stage_rank(item[0])))

    def expected(self, rule: str) -> float | None:
        """Return the usual time of a rule in s, in this run or else earlier; None if untimed."""
        if taken := self._taken.get(rule):
            return median(taken)
        return self.typical.get(rule)

    def left(self, job: Job, now: float) -> float | None:
        """Return the s that a started job still needs, by its log or else by its rule."""
        tail = self.tails.get(job.id)
        if tail and tail.progress:
            return tail.progress.left
        expected = self.expected(job.rule)
        return (
            None if expected is None else max(0.0, expected - (now - job.seen if job.seen else 0.0))
        )

    def estimate(self, now: float) -> Estimate:
        """Estimate when all may be done, without failed jobs and those that wait for them."""
        lost = {job.id for job in self.jobs.values() if job.state == FAILED}
        pending, unknown = [], 0
        # in the order of the plan each job comes after those that it waits for
        for job in self.jobs.values():
            if job.state in (DONE, FAILED):
                continue
            if lost & set(job.after):
                lost.add(job.id)
                continue
            started = job.state == SUBMITTED
            seconds = self.left(job, now) if started else self.expected(job.rule)
            unknown += seconds is None and not job.target
            pending.append(
                Task(
                    str(job.id),
                    seconds or 0.0,
                    () if started else tuple(map(str, job.after)),
                    job.needs,
                )
            )
        return Estimate(simulate(pending, self.capacity).makespan, unknown)
