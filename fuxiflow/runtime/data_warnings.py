"""Warnings about data: what scripts log as warnings, by job, for status page and report.

Every line that a script logs as a warning counts. A job that has any leaves them as
``results/{name}/warnings/{rule}/{wildcards}.json``, those of one kind once with their number. Of
the lines of :func:`fuxiflow.completeness.check_share` the shares are kept too, so that a product
that has less than the configuration asks for by now is refused.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuxiflow.runtime.records import job_file
from fuxiflow.storage.files import remove, whole_file

LINE = re.compile(r"^\S+ \S+ WARNING (?:process \d+, )?fuxiflow: (?P<text>.*)$")
SHARE = re.compile(r"(?P<setting>completeness[\w.]*): (?P<present>\d+) of (?P<total>\d+) ")
FOLDER = "warnings"
MOST_KINDS = 50
"""Kinds of warnings of a job that are told apart; further ones are counted together."""
FURTHER = "further warnings of other kinds; the log has them"


@dataclass
class CountedWarnings:
    """The warnings of a log: of each kind the first text, and how many there were.

    Texts that differ in words with digits alone, such as names of files and times, are of one kind.
    """

    counts: dict[str, int] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Count the warning that a line of a log holds, if it holds one."""
        if not (match := LINE.match(line)):
            return
        kind = re.sub(r"\S*\d\S*", "#", match["text"])
        text = self._texts.setdefault(kind, match["text"])
        if text not in self.counts and len(self.counts) >= MOST_KINDS:
            text = FURTHER
        self.counts[text] = self.counts.get(text, 0) + 1

    @property
    def total(self) -> int:
        """The number of warnings."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class JobWarnings:
    """The warnings of a job: its name, its log and products, and texts with their numbers."""

    name: str
    log: str
    outputs: tuple[str, ...]
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """The number of warnings."""
        return sum(self.counts.values())


def count_warnings(log: Path) -> CountedWarnings:
    """Count the warnings of a whole log; none of a log that cannot be read."""
    counted = CountedWarnings()
    try:
        with Path(log).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                counted.take(line.rstrip("\n"))
    except OSError:
        pass
    return counted


def warnings_folder(results: Path) -> Path:
    """Return where the warnings of a configuration lie."""
    return Path(results) / FOLDER


def keep_warnings(log: Path, rule: str, outputs: Iterable[Path]) -> None:
    """Keep the warnings of a job that has ended well, in the place of those of the run before.

    Parameters
    ----------
    log : Path
        Its log, which tells where they are kept; nothing is kept of a log elsewhere.
    rule : str
        The name of its rule.
    outputs : iterable of Path
        Its products.
    """
    if not (paths := job_file(log, FOLDER)):
        return
    results, path = paths
    counted = count_warnings(log)
    if not counted.counts:
        remove(path)
        return
    wildcards = path.relative_to(warnings_folder(results) / rule).with_suffix("").parts
    name = " ".join([rule, *(part for part in wildcards if part != "all")])
    content = JobWarnings(name, str(log), tuple(map(str, outputs)), counted.counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(asdict(content), indent=1).encode("utf-8"))


def read_warnings(results: Path) -> list[JobWarnings]:
    """Read the warnings of all jobs whose products are there, by name."""
    jobs = []
    for path in sorted(warnings_folder(results).rglob("[!.]*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            job = JobWarnings(**content | {"outputs": tuple(content["outputs"])})
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another job is writing it, or it is of another version
        if all(Path(output).exists() for output in job.outputs):
            jobs.append(job)
    return sorted(jobs, key=lambda job: job.name)


def shortfalls(jobs: Iterable[JobWarnings], least: Callable[[str], float]) -> list[str]:
    """List the products that hold less of their data than is asked for now.

    Parameters
    ----------
    jobs : iterable of JobWarnings
        Warnings of the jobs that made them.
    least : callable
        Returns the value of a setting by its dotted name.

    Returns
    -------
    list of str
        A line each: the setting, its products, what they have.
    """
    lines = []
    for job in jobs:
        for text in job.counts:
            if not (match := SHARE.match(text)):
                continue
            present, total = int(match["present"]), int(match["total"])
            if present + 1e-9 < least(match["setting"]) * total:
                lines.append(
                    f"{match['setting']} is {least(match['setting']):g}, but {job.name} went "
                    f"through with less: {text}. Get what is missing, delete "
                    f"{job.outputs[0]} and run again, or lower {match['setting']}"
                )
    return lines
