"""Files that several products of the raw store have: fetched for one, linked for the others.

NCEP's PrepBUFR has stations, ships and radiosondes in one file, and each is a source of its own.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import requests

from fuxiflow.archive.raw_store import MonthFolder
from fuxiflow.archive.transfer import Fetched, kept
from fuxiflow.config.archives import Archives


def products_of_same_files(archives: Archives, product: str) -> list[str]:
    """Return the other sources whose archive has the same address and data sets as a source's."""
    archive = archives.sources.get(product)
    return [
        name for name, other in archives.sources.items() if name != product and other == archive
    ]


def linked_or_fetched(
    name: str,
    download: Callable[[requests.Session, Path], Fetched],
    folders: Sequence[MonthFolder],
) -> Callable[[requests.Session, Path], Fetched]:
    """Return a download that first looks for the file where other products have it.

    Parameters
    ----------
    name : str
        Name of the file.
    download : callable
        Fetches it from the archive.
    folders : sequence of MonthFolder
        Folders of the same month of products that have the same files.

    Returns
    -------
    callable
        Links the file, or copies it on file systems without links, where a manifest lists it and
        its digest is the manifest's; fetches it elsewhere.
    """

    def load(session: requests.Session, target: Path) -> Fetched:
        for folder in folders:
            entry = folder.manifest.files.get(name)
            there = folder.path / name
            if entry is None or not there.is_file() or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(there, target)
            except OSError:
                shutil.copyfile(there, target)
            again = kept(target, entry.origin)
            if again.sha256 == entry.sha256:
                return again
            # damaged there: not here too
            target.unlink()
        return download(session, target)

    return load
