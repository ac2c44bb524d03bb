"""Diagnose failed jobs by their logs: what went wrong, and what most likely helps."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fuxiflow.runtime.earlier import restore_command
from fuxiflow.runtime.log_tail import last_lines

LINES = 60
AGAIN = (
    "run the same command again: what is finished is kept, and training, cycles and downloads go "
    "on where they were"
)


@dataclass(frozen=True)
class Kind:
    """A kind of failure: what its logs say (a regular expression), and what helps."""

    says: str
    remedy: str


# the first that fits counts, so what ends jobs from outside comes before what they say themselves
KINDS = (
    Kind(
        r"another copy of this job is running",
        "a second Snakemake works on the same results, or a job of one that has died: wait for it, "
        "or end it as the line says, then run the same command again",
    ),
    Kind(
        r"has taken this job over",
        "a second process does this job; see what runs, and on which machines, then run the same "
        "command again",
    ),
    Kind(
        r"OUT_OF_ME|oom[-_ ]kill|Exceeded job memory limit|\bMemoryError\b|Unable to allocate"
        r"|Cannot allocate memory",
        "it needs more memory than it asked for: raise the rule's mem_mb "
        "(snakemake --set-resources {rule}:mem_mb=…)",
    ),
    Kind(
        r"CUDA out of memory|CUDNN_STATUS_ALLOC_FAILED|torch\.OutOfMemoryError",
        "the GPU's memory is full: a smaller batch or network in the configuration, or precision "
        "bf16-mixed",
    ),
    Kind(
        r"DUE TO TIME LIMIT|status is: 'TIMEOUT'|\bTIMEOUT\b",
        "it ran out of time: raise runtime of the rule "
        f"(snakemake --set-resources {{rule}}:runtime=…), then {AGAIN}",
    ),
    Kind(
        r"PREEMPTED|NODE_FAIL|BOOT_FAIL|stopped by signal|DUE TO PREEMPTION"
        r"|status is: 'CANCELLED",
        AGAIN,
    ),
    Kind(
        r"No space left on device|Disk quota exceeded|the file system \S+ is full",
        "the disk is full, or your share of it: the log names the file system and "
        "what is free on it; free some space there, then run the same command again",
    ),
    Kind(
        r"Input/output error|Stale file handle|Transport endpoint is not connected"
        r"|Remote I/O error|the file system \S+ did not answer|Host is down|No route to host"
        r"|\[Errno (5|116|107|121)\]",
        "the file system that the log names does not answer, or is damaged: have it mounted again "
        f"or mended, then {AGAIN}",
    ),
    Kind(
        r"no CUDA GPUs are available|Found no NVIDIA driver|CUDA driver|no NVIDIA GPU"
        r"|no CUDA device is visible",
        "no GPU where it ran: set the partition that has them in slurm/config.yaml, or "
        "training.accelerator: cpu",
    ),
    Kind(
        r"exit (?:status|code) 127|command not found",
        "a program was not found: make setup, and again after the checkout was moved",
    ),
    Kind(
        r"ModuleNotFoundError|ImportError|cannot open shared object file",
        "a package is missing: make setup, or with --sdm conda name it in the rule's file under "
        "envs/",
    ),
    Kind(
        r"IncompleteError",
        "data are missing: get what the log names and run again, or lower the key of completeness "
        "in the configuration that it names",
    ),
    Kind(
        r"lower the learning rate|non-finite",
        "training diverged: a lower learning_rate, or precision 32-true",
    ),
    Kind(
        r"cannot be resumed from",
        "the restart file named does not fit: delete it to start that stage anew",
    ),
    Kind(
        r"no key for the Climate Data Store|CredentialsError",
        "write your key to ~/.cdsapirc, or set CDSAPI_URL and CDSAPI_KEY",
    ),
    Kind(
        r"ConnectionError|ConnectTimeout|ReadTimeout|HTTPError|Max retries exceeded"
        r"|failure in name resolution",
        f"the archive did not answer: {AGAIN}",
    ),
    Kind(
        r"DamagedError",
        "a product is damaged or gone: delete the one that the log names and run the same command "
        "again, it is made anew; fuxiflow verify checks all of a run",
    ),
    Kind(
        r"file size is 0 bytes|Parquet magic bytes not found|truncated file|GroupNotFoundError"
        r"|bad marker|EOFError",
        "a file that it reads is damaged: delete the one that the log names and run again, it is "
        "made anew",
    ),
    Kind(
        r"Permission denied|Read-only file system",
        "it may not write there: whose are results/ and resources/?",
    ),
)
FULL = (
    "its log has no error, and the file system that holds the log is full: make room there, then "
    "run the same command again"
)
NEVER_BEGAN = (
    "it has no log, so its script never began: the interpreter was not found (make setup, and "
    "again after the checkout was moved), its environment could not be made, or the cluster "
    "refused the job; what Snakemake says above tells which"
)
UNKNOWN = (
    "read the log; when the cause is mended, run the same command again: what is finished is kept"
)
SILENT = (
    "its log has no error, so it was killed from outside, mostly for memory: raise mem_mb of the "
    "rule (snakemake --set-resources {rule}:mem_mb=…)"
)


@dataclass(frozen=True)
class Failure:
    """A failed job as a person is told it.

    ``restore`` is the command that puts its earlier products back, empty where there are none;
    ``earlier`` are the logs of its earlier attempts.
    """

    rule: str
    wildcards: dict[str, str]
    logs: tuple[str, ...]
    says: str
    remedy: str
    again: bool = False
    restore: str = ""
    earlier: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the rule with its wildcards."""
        named = ", ".join(f"{key}={value}" for key, value in self.wildcards.items())
        return f"{self.rule} ({named})" if named else self.rule

    def __str__(self) -> str:
        lines = [
            f"FAILED   {self.name}" + (", tried again" if self.again else ""),
            *(f"  log    {log}" for log in self.logs),
            *(f"  before {log}" for log in self.earlier),
        ]
        if self.says:
            lines.append(f"  says   {self.says}")
        lines.append(f"  remedy {self.remedy}")
        if self.restore:
            lines.append(f"  kept   the earlier product; this puts it back: {self.restore}")
        return "\n".join(lines)


def error_line(lines: Iterable[str]) -> str:
    """Find the line of a log that tells the error, empty where there is none.

    It is the last of an exception, or else of ``… failed: …``.
    """
    error = ""
    for line in lines:
        if match := re.match(
            r"(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b.*", line
        ):
            error = match[0]
        elif match := re.search(r"slurmstepd: error: (.*)", line) or (
            not error and re.search(r" ERROR fuxiflow: (.*failed: .*)", line)
        ):
            error = match[1]
    return error.strip()


def earlier_logs(logs: Iterable[str], folder: Path = Path()) -> list[str]:
    """Return the logs of earlier attempts that are kept beside some logs, the newest first."""
    return [
        other
        for log in logs
        for number in range(1, 10)
        if (folder / (other := f"{log}.{number}")).exists()
    ]


def _is_full(log: Path) -> bool:
    """Say whether the file system of a log has no room for what a job would say."""
    try:
        return shutil.disk_usage(log.parent).free < 1 << 20
    except OSError:
        return False


def diagnose(
    rule: str,
    wildcards: dict[str, str],
    logs: Iterable[str],
    message: str = "",
    again: bool = False,
    folder: Path = Path(),
) -> Failure:
    """Find out what happened to a failed job.

    Parameters
    ----------
    rule : str
        The name of its rule.
    wildcards : dict
        The values of its wildcards.
    logs : iterable of str
        Its logs, relative to ``folder``, which are read.
    message : str
        What Snakemake or Slurm says.
    again : bool
        Whether it is tried again.
    folder : Path
        The folder of the run.

    Returns
    -------
    Failure
        What a person is told.
    """
    paths = tuple(dict.fromkeys(map(str, logs)))
    lines = [line for log in paths for line in last_lines(folder / log, LINES)]
    silent = SILENT if any((folder / log).exists() for log in paths) else NEVER_BEGAN
    if any(_is_full(folder / log) for log in paths):
        silent = FULL
    error = error_line(lines)
    # what went well, such as the device in use, is no reason of a failure
    text = "\n".join([message, *(line for line in lines if " INFO " not in line)])
    fitting = (kind.remedy for kind in KINDS if re.search(kind.says, text))
    remedy = next(fitting, UNKNOWN if error else silent)
    return Failure(
        rule,
        dict(wildcards),
        paths,
        error or (message.splitlines() or [""])[0],
        remedy.replace("{rule}", rule),
        again,
        "" if again else next(filter(None, map(restore_command, map(Path, paths))), ""),
        tuple(earlier_logs(paths, folder)),
    )
