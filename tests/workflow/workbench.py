"""A copy of the checkout to run Snakemake in, and the plan that a dry run prints."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fuxiflow import ROOT

_FIELD = re.compile(r"^    (\w+): (.*)$")


@dataclass(frozen=True)
class Job:
    """One job of a plan."""

    rule: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    wildcards: dict[str, str] = field(default_factory=dict, hash=False)
    threads: int = 1


def parse(text: str) -> list[Job]:
    """The jobs that a dry run prints."""
    jobs, rule, fields = [], None, {}

    def close():
        if rule:
            wildcards = dict(pair.split("=", 1) for pair in split(fields.get("wildcards", "")))
            jobs.append(
                Job(
                    rule,
                    split(fields.get("input", "")),
                    split(fields.get("output", "")),
                    wildcards,
                    int(fields.get("threads", 1)),
                )
            )

    for line in text.splitlines():
        if match := re.match(r"^(?:local)?rule (\w+):$", line):
            close()
            rule, fields = match[1], {}
        elif match := _FIELD.match(line):
            fields.setdefault(match[1], match[2])
    close()
    return jobs


def split(text: str) -> tuple[str, ...]:
    """The parts of a list that Snakemake prints."""
    return tuple(part for part in text.split(", ") if part)


def ancestors(jobs: Iterable[Job], job: Job) -> dict[str, Job | None]:
    """All files that ``job`` depends on, transitively, each with the job that makes it (None:
    nobody).
    """
    maker = {path: job for job in jobs for path in job.outputs}
    found, todo = {}, list(job.inputs)
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = maker.get(path)
            todo.extend(found[path].inputs if found[path] else ())
    return found


class Workbench:
    """A copy of the checkout's files, committed or new, under ``folder``."""

    def __init__(self, folder: Path):
        self.folder = folder
        if folder.exists():
            return
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for name in listed:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)

    def clone(self, folder: Path) -> "Workbench":
        """A copy with results and Snakemake's memory, all time stamps kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workbench(folder)

    def snakemake(
        self, *words: str, configuration: str = "test", check: bool = True
    ) -> subprocess.CompletedProcess:
        """Run Snakemake; AssertionError with all it said where it fails and ``check`` is set."""
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--configfile",
            *(f"config/{name}.yaml" for name in configuration.split("+")),
            *words,
        ]
        environment = os.environ | {"MPLBACKEND": "Agg"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}"
        return done

    def plan(self, *words: str, configuration: str = "test") -> list[Job]:
        """The jobs of a dry run."""
        return parse(
            self.snakemake("--dry-run", "--cores", "2", *words, configuration=configuration).stdout
        )

    def pending(self, *words: str, configuration: str = "test") -> set[str]:
        """The rules of the jobs that a run would start, without the targets."""
        jobs = self.plan(*words, configuration=configuration)
        return {job.rule for job in jobs if job.outputs}

    def pretend(self, configuration: str = "test") -> None:
        """Make every product an empty file or folder and let Snakemake remember it as made by a
        run.
        """
        for job in self.plan("--forceall", configuration=configuration):
            for name in job.outputs:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix in ("", ".zarr"):
                    path.mkdir(exist_ok=True)
                else:
                    path.touch()
        self.snakemake("--touch", "--forceall", "--cores", "1", configuration=configuration)

    def record(self, configuration: str = "test") -> None:
        """Write the records that the scripts would have written, had they run."""
        self.python(
            "from pathlib import Path\n"
            "from fuxiflow.runtime.records import write_record\n"
            "from fuxiflow.runtime.snakemake_internals import plan_jobs\n"
            f"for job in plan_jobs(Path('config/{configuration}.yaml'), everything=True):\n"
            "    write_record(Path(job.log), job.rule, job.params, job.inputs, job.outputs, True,\n"
            "                 job.resources)"
        )

    def python(self, code: str) -> str:
        """What a piece of Python prints that runs in this copy; AssertionError with all it said
        where it fails.
        """
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            check=False,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr[-8000:]
        return done.stdout

    def explain(self, configuration: str = "test") -> str:
        """What ``make explain`` prints."""
        return self.python(
            "from pathlib import Path; from fuxiflow.runtime.explain import explain\n"
            f"print(explain(Path('config/{configuration}.yaml')))"
        )

    def edit(self, name: str, old: str, new: str, count: int = -1) -> None:
        """Replace text that occurs once in a file; with ``count``, the first so many of any
        number.
        """
        path = self.folder / name
        text = path.read_text()
        assert old in text if count > 0 else text.count(old) == 1, (
            f"{name} has {text.count(old)} times {old!r}"
        )
        path.write_text(text.replace(old, new, count))
