"""Count the cases that have what a score needs, in each part, and judge all parts together.

A part may lack more than a whole period: the first one holds the cold start, which has no
background. So parts keep what they counted, and the merge compares the sum with what is asked for.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fuxiflow.completeness import Asked, check_share, list_times
from fuxiflow.storage.datasets import open_dataset

ATTRIBUTE = "counts"


@dataclass(frozen=True)
class CaseCount:
    """The number of cases that have something, and the valid times of those that lack it.

    Attributes
    ----------
    what : str
        What the cases have, in the words of the message: ``cases of GFS forecasts have a field``.
    present, expected : int
        How many have it, and how many should.
    missing : list of str
        Valid times of the others, as ISO texts to the hour; each once.
    """

    what: str
    present: int
    expected: int
    missing: list[str]

    @classmethod
    def of_times(cls, what: str, expected: int, without: Sequence[np.datetime64]) -> "CaseCount":
        """Count cases by the valid time of each one that lacks something.

        Parameters
        ----------
        what : str
            What the others have.
        expected : int
            How many should have it.
        without : sequence of np.datetime64
            Valid times, one for each case that lacks it.

        Returns
        -------
        CaseCount
            The count.
        """
        hours = np.unique(np.array(without, "datetime64[h]"))
        return cls(what, expected - len(without), expected, [str(hour) for hour in hours])

    def __add__(self, other: "CaseCount") -> "CaseCount":
        """Return both together."""
        return CaseCount(
            self.what,
            self.present + other.present,
            self.expected + other.expected,
            sorted({*self.missing, *other.missing}),
        )


def counts_attribute(counts: Iterable[CaseCount]) -> dict[str, list[dict]]:
    """Return counts as an attribute of a store, which :func:`read_counts` reads."""
    return {ATTRIBUTE: [asdict(count) for count in counts]}


def read_counts(path: Path) -> list[CaseCount]:
    """Read the counts of a part."""
    with open_dataset(path) as data:
        return [CaseCount(**count) for count in data.attrs[ATTRIBUTE]]


def check_counts(parts: Iterable[Sequence[CaseCount]], asked: Asked, log: logging.Logger) -> None:
    """Fail or warn where cases of all parts together lack something.

    Parameters
    ----------
    parts : iterable of sequences of CaseCount
        The counts of each part.
    asked : Asked
        The least share of cases that must have it.
    log : logging.Logger
        Gets the warning.

    Raises
    ------
    IncompleteError
        For fewer cases than are asked for.
    """
    total: dict[str, CaseCount] = {}
    for counts in parts:
        for count in counts:
            before = total.get(count.what)
            total[count.what] = count if before is None else before + count
    for count in total.values():
        missing = f"those valid at {list_times(count.missing)}"
        check_share(asked, count.present, count.expected, count.what, missing, log)
