"""A run under way: its jobs, what became of them, and when the rest may be done."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fuxiflow.runtime import job_benchmarks
from fuxiflow.runtime.failure_hints import Failure
from fuxiflow.runtime.job_scheduling import Task, simulate
from fuxiflow.runtime.log_tail import Tail
from fuxiflow.runtime.workflow_stages import rank, stage_of

WAITING, SUBMITTED, DONE, FAILED = "waiting", "submitted", "done", "failed"


@dataclass
class Job:
    """A job of the plan; ``planned`` where this run makes its products. It is ``begun`` when Snakemake starts it or
    hands it to the cluster, and ``seen`` once it writes its log."""

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
        """The stage of its rule."""
        return stage_of(self.rule)

    @property
    def name(self) -> str:
        """The rule and the values of its wildcards."""
        return " ".join([self.rule, *map(str, self.wildcards.values())])


@dataclass(frozen=True)
class Estimate:
    """When all may be done: ``seconds`` from now, without ``unknown`` jobs of rules that were never timed."""

    seconds: float
    unknown: int


@dataclass
class Run:
    """The state of a run. ``typical`` gives a rule's time in s, from earlier runs; ``capacity`` the resources."""

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
        """A job is started, or handed to the cluster."""
        if job := self.jobs.get(number):
            job.state, job.begun, job.seen = SUBMITTED, now, 0.0
            if job.log:
                self.tails[number] = Tail(self.folder / job.log)

    def finish(self, number: int, now: float) -> None:
        """A job has ended well."""
        if job := self.jobs.get(number):
            job.state, job.ended = DONE, now
            if job.begun and not job.target:
                measured = (
                    job_benchmarks.seconds(self.folder / job.benchmark) if job.benchmark else None
                )
                self._taken.setdefault(job.rule, []).append(
                    now - job.begun if measured is None else measured
                )
            if tail := self.tails.get(number):
                tail.update()

    def drop(self, number: int, again: bool, now: float) -> None:
        """A job has ended without its products; one that is tried ``again`` waits."""
        if job := self.jobs.get(number):
            job.state, job.ended = WAITING if again else FAILED, now

    def end(self, success: bool, now: float) -> None:
        """The run is over."""
        self.ended = now
        failed = any(job.state == FAILED for job in self.jobs.values())
        self.outcome = "finished" if success else "failed" if failed else "stopped"

    @property
    def running(self) -> list[Job]:
        """Jobs that were started and have not ended."""
        return [job for job in self.jobs.values() if job.state == SUBMITTED and not job.target]

    def look(self, now: float) -> None:
        """See in the logs what the running jobs have done since the last look."""
        for job in self.running:
            if not job.seen and not self.queued(job):
                job.seen = now
            if tail := self.tails.get(job.id):
                tail.update()

    def queued(self, job: Job) -> bool:
        """Whether a job that was submitted has not begun: it has no log that is newer than its submission."""
        try:
            return bool(job.log) and (self.folder / job.log).stat().st_mtime < job.begun - 1
        except OSError:
            return True

    def counts(self, jobs: Iterable[Job] | None = None) -> dict[str, int]:
        """Number of jobs by state, targets apart; ``planned`` counts those of this run."""
        every = [job for job in (self.jobs.values() if jobs is None else jobs) if not job.target]
        found = {
            state: sum(job.state == state for job in every)
            for state in (WAITING, SUBMITTED, DONE, FAILED)
        }
        return found | {"total": len(every), "planned": sum(job.planned for job in every)}

    def stages(self) -> dict[str, list[Job]]:
        """Jobs by stage, in the workflow's order."""
        found = {}
        for job in self.jobs.values():
            if not job.target:
                found.setdefault(job.stage, []).append(job)
        return dict(sorted(found.items(), key=lambda item: rank(item[0])))

    def expected(self, rule: str) -> float | None:
        """What a job of a rule takes, in s: those of this run, else those of earlier ones; None if never timed."""
        if taken := self._taken.get(rule):
            return median(taken)
        return self.typical.get(rule)

    def left(self, job: Job, now: float) -> float | None:
        """Seconds that a started job still needs: what its log says, else what its rule usually takes."""
        tail = self.tails.get(job.id)
        if tail and tail.progress:
            return tail.progress.left
        expected = self.expected(job.rule)
        return (
            None if expected is None else max(0.0, expected - (now - job.seen if job.seen else 0.0))
        )

    def estimate(self, now: float) -> Estimate:
        """When all may be done, by list scheduling of what is left, without failed jobs and what waits for them."""
        lost = {job.id for job in self.jobs.values() if job.state == FAILED}
        pending, unknown = [], 0
        for job in (
            self.jobs.values()
        ):  # in the plan's order, in which each comes after those it waits for
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
