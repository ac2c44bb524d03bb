"""Leases: one job, one process. A file says who works on a job, and that it still does.

A process that runs a job holds ``state/leases/{rule}/{wildcards}.json`` below the results. A second
copy of the job finds it and is refused, whoever started it: after ``snakemake --unlock``, from
another machine, or as a job of Slurm. The file is made by one link, which either works or finds
another there, also on network file systems. A thread renews its time every :data:`BEAT` seconds.

A lease ends when its process gives it back. One that was killed leaves it behind:

- on the same machine the process is looked up, by its number and start time; where it is gone the
  lease is taken over at once, where it is there it holds;
- on another machine the time of the file counts alone. A process that finds a lease there watches
  it: once it is renewed its holder lives, and the second is refused; once it has not been renewed
  for :data:`STALE` seconds it is taken over.

A taker first makes the file ``{lease}.taker``, so that of two one waits. A holder that was taken
for dead finds another's lease when it renews its own. It ends at once then, and publishes nothing.
Times are those of the file server, so the clocks of machines may differ.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fuxiflow.runtime.records import job_file
from fuxiflow.storage.files import remove, temporary

BEAT = 20.0
"""s between two signs of life."""
STALE = 300.0
"""s without a sign of life after which a lease on another machine is taken over."""
LOST = 75
"""Exit status of a process whose lease another has (``EX_TEMPFAIL``)."""
LOG = logging.getLogger("fuxiflow")


class LeaseHeldError(RuntimeError):
    """Another process works on the same job."""


class LeaseLostError(RuntimeError):
    """Another process has taken the job over from this one."""


def lease_path(log: Path) -> Path | None:
    """Return the lease that belongs to ``…/logs/{rule}/{wildcards}.log``.

    None for a log elsewhere.
    """
    paths = job_file(log, "state/leases")
    return paths[1] if paths else None


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def machine() -> str:
    """Name this machine, as long as it runs: host, boot, and what its process numbers count in."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    boot = _first_line("/proc/sys/kernel/random/boot_id")
    return " ".join(filter(None, (socket.gethostname(), boot, numbers)))


def started(pid: int) -> str | None:
    """Say when a process of this machine was started; None where there is none, or it has ended."""
    try:
        # the second field, in brackets, is its name, in which anything may stand
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    state = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    ).stdout.strip()
    return None if not state or state.startswith("Z") else state.partition(" ")[2].strip()


@dataclass(frozen=True)
class Holder:
    """The process that a lease names."""

    id: str
    host: str
    machine: str
    pid: int
    started: str
    slurm: str
    since: str
    log: str

    @classmethod
    def this(cls, log: Path) -> "Holder":
        """Return what names this process in a new lease."""
        return cls(
            secrets.token_hex(16),
            socket.gethostname(),
            machine(),
            os.getpid(),
            started(os.getpid()) or "",
            os.environ.get("SLURM_JOB_ID", ""),
            time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            str(log),
        )

    @classmethod
    def read(cls, path: Path) -> tuple["Holder | None", float]:
        """Read a lease and its last sign of life; a holder of no name where it is damaged.

        None where there is no lease.
        """
        try:
            # opened, not asked for: a network file system then looks at the server
            with open(path, "rb") as file:
                text, seen = file.read(), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None, 0.0
        try:
            return cls(**json.loads(text)), seen
        except (ValueError, TypeError):
            return cls("", "", "", 0, "", "", "", ""), seen

    @property
    def is_here(self) -> bool:
        """Say whether it is, or was, a process of this machine."""
        return self.machine == machine()

    @property
    def is_alive(self) -> bool:
        """Say whether it still runs, as a process of this machine."""
        return self.is_here and started(self.pid) == self.started

    def __str__(self) -> str:
        job = f", Slurm job {self.slurm}" if self.slurm else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"


def _server_time(folder: Path) -> float:
    """Return the present time as the server of a folder has it."""
    probe = temporary(folder / "now")
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _make(path: Path, text: str) -> bool:
    """Make a file with a text in it unless it is there; say whether it was made."""
    aside = temporary(path)
    aside.write_text(text, encoding="utf-8")
    try:
        try:
            os.link(aside, path)
        except FileExistsError:
            # over NFS an answer may get lost after the link was made
            return aside.stat().st_nlink == 2
        except OSError:
            # a file system without links
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                return False
        return True
    finally:
        aside.unlink(missing_ok=True)


def is_leased(log: Path) -> bool:
    """Say whether another process seems to work on the job of a log; it does not wait.

    A lease on another machine counts until it is stale.
    """
    path = lease_path(log)
    if path is None:
        return False
    holder, seen = Holder.read(path)
    if holder is None or (holder.is_here and not holder.is_alive):
        return False
    return holder.is_here or _server_time(path.parent) - seen < STALE


@dataclass
class Lease:
    """The lease of this process on a job. A context manager.

    ``on_loss`` is called, by the thread that renews it, when another process has the lease; then
    this process ends. ``beat`` and ``stale`` are the seconds of :data:`BEAT` and :data:`STALE`.
    """

    path: Path
    job_log: Path
    beat: float = BEAT
    stale: float = STALE
    on_loss: list[Callable[[], None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.holder = Holder.this(self.job_log)
        self._text = json.dumps(vars(self.holder), indent=1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self.take()
        return self

    def __exit__(self, *_) -> None:
        self.release()

    def note(self, text: str) -> None:
        """Log what happens to the lease, and keep it for a log that is opened later."""
        self.notes.append(text)
        LOG.warning("%s", text)

    def take(self) -> None:
        """Take the lease, or take it over from a process that has ended; wait where none can tell.

        Raises
        ------
        LeaseHeldError
            When another process works on the job; the text says which, and what to do.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        watched, since = None, 0.0
        while not _make(self.path, self._text):
            holder, seen = Holder.read(self.path)
            if holder is None:
                continue
            if holder.is_here:
                if holder.is_alive:
                    raise LeaseHeldError(self._refusal(holder))
                self._take_over(holder, "its process has ended")
                continue
            if watched is not None and watched[0] == holder.id and seen != watched[1]:
                raise LeaseHeldError(self._refusal(holder))
            silent = _server_time(self.path.parent) - seen
            if watched is not None and watched[0] == holder.id:
                # where the server's clock was put back, a dead one's last sign lies in the future
                silent = max(silent, time.monotonic() - since)
            if silent >= self.stale:
                self._take_over(holder, f"it gave no sign of life for {silent:.0f} s")
            elif watched is None or watched[0] != holder.id:
                watched, since = (holder.id, seen), time.monotonic()
                self.note(
                    f"{self.path}: {holder} held this job, {silent:.0f} s ago; watching for a "
                    f"sign of life, taking over after {self.stale:.0f} s without one"
                )
            time.sleep(min(self.beat, 1.0))
        self._thread.start()

    def _refusal(self, holder: Holder) -> str:
        end = f"kill {holder.pid}" if holder.is_here else f"ssh {holder.host} kill {holder.pid}"
        end = f"scancel {holder.slurm}" if holder.slurm else end
        return (
            f"another copy of this job is running: {holder}; its log is {holder.log} and its "
            f"lease {self.path}. Wait for it and run the same command again, or end it: {end}"
        )

    def _take_over(self, holder: Holder, reason: str) -> None:
        """Replace the lease of a process that has ended, unless another does or has done it."""
        guard = self.path.with_name(f"{self.path.name}.taker")
        if not _make(guard, self._text):
            other, since = Holder.read(guard)
            gone = other is not None and (
                not other.is_alive
                if other.is_here
                else abs(_server_time(self.path.parent) - since) >= self.stale
            )
            if gone:
                # under a name of its own first: what another makes in between stays
                aside = temporary(guard)
                with contextlib.suppress(FileNotFoundError):
                    os.rename(guard, aside)
                    if Holder.read(aside)[0] != other:
                        with contextlib.suppress(FileExistsError):
                            os.link(aside, guard)
                remove(aside)
            time.sleep(0.05)
            return
        try:
            # only who holds the guard replaces a lease, and only the one that was looked at
            if Holder.read(self.path)[0] == holder:
                os.unlink(self.path)
                self.note(f"{self.path}: taking over from {holder}: {reason}")
        except FileNotFoundError:
            pass
        finally:
            guard.unlink(missing_ok=True)

    def check(self) -> None:
        """Renew the lease.

        Raises
        ------
        LeaseLostError
            When another process has it.
        """
        holder, _ = Holder.read(self.path)
        if holder is None:
            # someone has deleted the folder: whoever makes it anew first holds it
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if _make(self.path, self._text):
                return
            holder, _ = Holder.read(self.path)
        if holder != self.holder:
            raise LeaseLostError(
                f"{self.path}: {holder} has taken this job over, as it saw no sign of life from "
                f"this process ({self.holder}); this one ends and publishes nothing"
            )
        os.utime(self.path)

    def _renew(self) -> None:
        while not self._over.wait(self.beat):
            try:
                self.check()
            except LeaseLostError as error:
                if self._over.is_set():
                    return
                LOG.error("%s", error)
                for act in self.on_loss:
                    act()
                # not by a signal: what it would save does not belong to this process any more
                logging.shutdown()
                os._exit(LOST)
            except OSError as error:
                LOG.warning("%s cannot be renewed: %s", self.path, error)

    def release(self) -> None:
        """Give the lease back; one that another has is left alone."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError):
            if Holder.read(self.path)[0] == self.holder:
                self.path.unlink()
