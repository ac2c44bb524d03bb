"""The raw store: an append-only folder for each product and month, with its manifest.

``resources/archive/{product}/{month}/`` holds the archive's files. Nothing in this package removes
or overwrites a file that a manifest lists. What is being loaded lies below ``.partial/``.
"""

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from fuxiflow.archive.transfer import Fetched
from fuxiflow.storage.manifests import (
    MANIFEST,
    FileEntry,
    Manifest,
    RawFileError,
    difference,
    file_entry,
    files_below,
    read_manifest,
    remedy_of,
    write_manifest,
)

STORE = Path("resources/archive")
"""The raw store, relative to the folder that the workflow runs in."""
OF_OLD = "a manifest of old"
"""Origin of what a manifest of before there were digests said."""
ALL_DAYS = "*"
"""Key of days that were asked for, where a folder came whole."""
SAVE_SECONDS = 10.0
"""Least time between two writings of a manifest while files come in."""
LOG = logging.getLogger("fuxiflow")


class BusyError(RuntimeError):
    """Another process is filling the same folder of the raw store."""


def now_text() -> str:
    """Return the time, UTC, as manifests have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class MonthFolder:
    """One month of one product: its files, its manifest, and what is being loaded for it.

    ``is_listed`` says whether there is a manifest of today's form, of a folder that was adopted to
    its end.
    """

    def __init__(self, store: Path, product: str, month: str):
        """Read the manifest, where there is one.

        Parameters
        ----------
        store : Path
            The raw store.
        product : str
            ``era5``, ``gfs`` or the name of a source.
        month : str
            YYYY-MM, or ``invariants`` of ERA5.
        """
        self.product, self.month = product, month
        self.path = Path(store) / product / month
        self.partial = Path(store) / ".partial" / product / month
        self._saved = time.monotonic()
        self._unwritable = ""
        self._read()

    def _read(self) -> None:
        manifest = read_manifest(self.path)
        self.manifest = manifest or Manifest()
        self.is_listed = manifest is not None and not manifest.unfinished
        self._lost: dict[str, FileEntry] = {}
        # counted on: a month may have a hundred thousand files
        self._numbers = count(self.manifest.last_number + 1)

    def drop_lost(self, has_archive: bool) -> None:
        """Forget entries whose file has gone, and that their days were asked for.

        Parameters
        ----------
        has_archive : bool
            Whether there is an archive that can be asked for them again.

        Raises
        ------
        RawFileError
            When a file is there with another size: it has to be moved away by hand. When one has
            gone that nobody can be asked for.
        """
        complete = self.manifest.complete
        for name, entry in list(self.manifest.files.items()):
            words = difference(self.path / name, entry, content=False)
            if words.startswith("missing") and not (has_archive and ALL_DAYS not in complete):
                raise RawFileError(
                    f"{self.path / name}: {words}, and no archive is asked for it; bring it again, "
                    f"or, to go on without it, delete {self.path / MANIFEST} and run 'fuxiflow "
                    f"adopt {self.path}'"
                )
            if words.startswith("missing"):
                LOG.warning("%s: gone, though the manifest lists it", self.path / name)
                self._lost[name] = self.manifest.files.pop(name)
                for day in entry.covers.get("days", ()):
                    complete.pop(day, None)
            elif words:
                raise RawFileError(f"{self.path / name}: {words}; {remedy_of(self.path / name)}")

    def unlisted(self) -> list[str]:
        """Return the names of files in the folder that its manifest does not list."""
        return [name for name in files_below(self.path) if name not in self.manifest.files]

    def _number_of(self, name: str, sha256: str) -> int:
        """Return the number of a new entry: that of a lost file which came again as it was."""
        lost = self._lost.get(name)
        return lost.number if lost and lost.sha256 == sha256 else next(self._numbers)

    def list_file(self, name: str, origin: str, covers: dict) -> FileEntry:
        """Add a file that lies in the folder to the manifest.

        Parameters
        ----------
        name : str
            Its name relative to the folder.
        origin : str
            The address that it came from, or who brought it.
        covers : dict
            What it holds, see :mod:`fuxiflow.storage.raw_files`.

        Returns
        -------
        FileEntry
            The new entry.
        """
        number = next(self._numbers)
        entry = file_entry(
            self.path / name, origin, fetched=now_text(), number=number, covers=covers
        )
        self.manifest.files[name] = entry
        self.manifest.absent.pop(name, None)
        return entry

    def take_in(self, name: str, fetched: Fetched, covers: dict) -> FileEntry:
        """Move a file that was loaded into the folder and add it to the manifest.

        Parameters
        ----------
        name : str
            Its name relative to the folder.
        fetched : Fetched
            The file, with the digest of what was written and the address that it came from.
        covers : dict
            What it holds.

        Returns
        -------
        FileEntry
            The new entry.
        """
        target = self.path / name
        if name in self.manifest.files:
            raise RawFileError(f"{target}: the manifest lists a file of this name already")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(fetched.path, target)
        self.manifest.files[name] = FileEntry(
            fetched.size,
            fetched.sha256,
            fetched.address,
            now_text(),
            self._number_of(name, fetched.sha256),
            covers,
            list(fetched.agreed),
        )
        self.manifest.absent.pop(name, None)
        return self.manifest.files[name]

    def note_absent(self, name: str, origin: str) -> None:
        """Write down that the archive at an address lacks the file that would have a name."""
        self.manifest.absent[name] = {"origin": origin, "asked": now_text()}

    def lacks(self, name: str, origin: str) -> bool:
        """Say whether an address is known to lack a file; a manifest of old tells no address."""
        gap = self.manifest.absent.get(name)
        return gap is not None and gap["origin"] in (origin, OF_OLD)

    def require_writable(self) -> None:
        """Raise RawFileError where the store cannot be written, as one that others keep."""
        if self._unwritable:
            raise RawFileError(
                f"{self.path}: the raw store cannot be written ({self._unwritable}), and files are "
                f"to be fetched or adopted; have them brought by who keeps it"
            )

    def save(self, at_once: bool = True) -> None:
        """Write the manifest, or only where it was not written some seconds ago."""
        self.require_writable()
        if at_once or time.monotonic() - self._saved > SAVE_SECONDS:
            write_manifest(self.path, self.manifest)
            self.is_listed = not self.manifest.unfinished
            self._saved = time.monotonic()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; BusyError where another one has it.

        The lock goes when the process ends, however it ends. File systems without locks have none.
        A store that cannot be written needs none as long as nothing is lacking.
        """
        lock = self.partial / ".lock"
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            lock.touch()
        except OSError as error:
            self._unwritable = str(error)
            yield
            return
        with open(lock, "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise BusyError(
                    f"{self.path}: {file.read().strip() or 'another process'} is filling it; wait "
                    f"until it has ended, then run again"
                ) from None
            except OSError as error:
                LOG.warning("%s: no locks on this file system (%s)", self.partial, error)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            # another process may have written meanwhile
            self._read()
            yield


def month_folders(store: Path) -> Iterator[tuple[str, str]]:
    """Yield product and month of all folders of the raw store, sorted."""
    for product in sorted(path for path in Path(store).glob("*") if path.is_dir()):
        if not product.name.startswith("."):
            for month in sorted(path for path in product.glob("*") if path.is_dir()):
                yield product.name, month.name
