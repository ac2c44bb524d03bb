"""Numbers and provenance stamps as text."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuxiflow.storage.checksums import check_noted, check_sealed, is_sealed

UNCHECKED = "  without a checksum: made by another program or an earlier version, and not checked"


class Summary:
    """Least, mean and largest value of several names, and how many are missing.

    Blocks of values are added one after the other, so that no array has to be in memory whole.
    """

    def __init__(self, names: Sequence[str]):
        self.names = [str(name) for name in names]
        count = len(self.names)
        self.low = np.full(count, np.inf)
        self.high = np.full(count, -np.inf)
        self.total = np.zeros(count)
        self.count = np.zeros(count, int)
        self.missing = np.zeros(count, int)

    def add(self, values: np.ndarray) -> None:
        """Add a block ``(n, name)``; values that are not finite count as missing."""
        values = np.asarray(values, float)
        present = np.isfinite(values)
        if len(values):
            self.low = np.minimum(self.low, np.where(present, values, np.inf).min(0))
            self.high = np.maximum(self.high, np.where(present, values, -np.inf).max(0))
        self.total += np.where(present, values, 0.0).sum(0)
        self.count += present.sum(0)
        self.missing += (~present).sum(0)

    def lines(self, heading: str = "channel") -> list[str]:
        """Return a table, a line for each name."""
        width = max([len(heading), *map(len, self.names)])
        lines = [f"    {heading:{width}s} {'min':>12s} {'mean':>12s} {'max':>12s} {'missing':>10s}"]
        for i, name in enumerate(self.names):
            figures = (
                (self.low[i], self.total[i] / self.count[i], self.high[i])
                if self.count[i]
                else (np.nan,) * 3
            )
            lines.append(
                f"    {name:{width}s} "
                + " ".join(f"{x:12.6g}" for x in figures)
                + f" {self.missing[i]:10d}"
            )
        return lines


def provenance_text(text: str | None) -> str:
    """Return a provenance stamp as indented text."""
    if not text:
        return "provenance: none"
    try:
        stamp = json.loads(text)
    except json.JSONDecodeError as error:
        return f"provenance: not readable ({error})"
    return "provenance:\n" + "\n".join(f"  {key}: {value}" for key, value in sorted(stamp.items()))


def lines_of_check(path: Path) -> list[str]:
    """Compare a file with its checksum; DamagedError where it differs.

    Returns a line that says so where it carries none and none is noted beside the results.
    """
    if is_sealed(path):
        check_sealed(path)
    elif not check_noted(path):
        return [UNCHECKED]
    return []


def first_words(words: Sequence, most: int = 8) -> str:
    """Return some words in a line, the first ``most`` of them and how many there are."""
    shown = ", ".join(str(word) for word in words[:most])
    return shown + (f", … ({len(words)})" if len(words) > most else "")
