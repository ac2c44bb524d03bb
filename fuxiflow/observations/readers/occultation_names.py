"""Names of files in the public bucket gnss-ro-data, and the occultations that they are of.

Processing centres make files of one occultation under names that differ. Layout and names: the
bucket's Data Description, versions 1.1 and 2.0 (github.com/gnss-ro/aws-opendata).
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECEIVERS = {
    "champ": "CHAMP",
    "cnofs": "C/NOFS",
    "cosmic1": "COSMIC-1",
    "cosmic2": "COSMIC-2",
    "geoopt": "CICERO",
    "gracea": "GRACE-A",
    "graceb": "GRACE-B",
    "kompsat5": "KOMPSAT-5",
    "metopa": "Metop-A",
    "metopb": "Metop-B",
    "metopc": "Metop-C",
    "paz": "PAZ",
    "planetiq": "GNOMES",
    "sacc": "SAC-C",
    "spire": "Spire",
    "tdx": "TanDEM-X",
    "tsx": "TerraSAR-X",
}
"""Platforms in WMO OSCAR by the beginning of the bucket's names of receivers, as of cosmic1c4."""
CENTRES = ("ucar", "romsaf", "jpl", "eumetsat")
"""Processing centres, the first of those that there are is used; others come after them."""
APART = np.timedelta64(5, "m")
"""Centres date an occultation by its start, middle or lowest point, which differ by two minutes. A
receiver sees the same transmitter again after half an hour at the least."""

_KINDS = {
    "refractivityRetrieval": 0,
    "l2a": 0,
    "atmosphericRetrieval": 1,
    "l2b": 1,
    "calibratedPhase": 2,
    "l1b": 2,
}
_NAME = re.compile(
    r"(?:(?P<kind1>[a-zA-Z]+(?:Phase|Retrieval))_[^_]+_(?P<centre1>[^_]+)"
    r"|gnssro_[^_]+_(?P<centre2>[^_]+)_(?P<kind2>l\d\w))"
    r"_(?P<release>.+)_(?P<transmitter>[A-Z]\d\d)-(?P<receiver>[^-]+)-(?P<time>\d{12})\.nc4?"
)


@dataclass(frozen=True)
class BucketName:
    """The name of a file in the bucket, taken apart.

    ``time`` is to the minute. ``rank`` orders the files of one occultation by preference: measured
    refractivity before retrievals with a prior, then by centre, then version 2.0 of the layout.
    """

    transmitter: str
    receiver: str
    time: np.datetime64
    rank: tuple[int, int, str, int]
    release: str


def bucket_name(name: str) -> BucketName | None:
    """Take the name of a file apart; None where it is no name of the bucket."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    text = match["time"]
    try:
        time = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:]}", "m")
    except ValueError:
        return None
    kind, centre = match["kind1"] or match["kind2"], match["centre1"] or match["centre2"]
    centre_rank = CENTRES.index(centre) if centre in CENTRES else len(CENTRES)
    rank = (_KINDS.get(kind, 2), centre_rank, centre, 0 if match["kind2"] else 1)
    return BucketName(match["transmitter"], match["receiver"], time, rank, match["release"])


def platform_of_receiver(receiver: str) -> str:
    """Return the platform in WMO OSCAR of a receiver, or its own name where it has none here."""
    name = receiver.lower()
    return next((full for start, full in RECEIVERS.items() if name.startswith(start)), receiver)


def rivals_by_occultation(paths: Sequence[Path]) -> list[list[Path]]:
    """Gather the files of one occultation, the one to use first.

    Parameters
    ----------
    paths
        Files. Those whose name is not of the bucket are each alone.

    Returns
    -------
    list of list of Path
        In the order of the first file of each.
    """
    groups: dict[int, list[Path]] = {}
    by_link = defaultdict(list)
    for index, path in enumerate(paths):
        name = bucket_name(path.name)
        if name is None:
            groups[index] = [path]
        else:
            by_link[name.transmitter, name.receiver].append((name.time, index, path, name))
    for files in by_link.values():
        files.sort(key=lambda file: file[:2])
        while files:
            first = files[0][0]
            together = [file for file in files if file[0] - first <= APART]
            del files[: len(together)]
            # of one centre's releases the last comes first
            together.sort(key=lambda file: file[3].release, reverse=True)
            together.sort(key=lambda file: file[3].rank)
            groups[min(file[1] for file in together)] = [file[2] for file in together]
    return [groups[index] for index in sorted(groups)]
