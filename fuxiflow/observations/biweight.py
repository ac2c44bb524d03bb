"""Bi-weight mean and standard deviation from histograms.

Histograms merge in any order and need no second pass over the data.

Lanzante, J. R. (1996): Resistant, robust and non-parametric techniques for the analysis of climate
data, Int. J. Climatol. 16, 1197-1226: with median M, median absolute deviation D and
u = (x - M) / (c D), c = 7.5, u clipped at 1::

    mean = M + sum((x - M) (1 - u^2)^2) / sum((1 - u^2)^2)
    std  = sqrt(n sum((x - M)^2 (1 - u^2)^4)) / |sum((1 - u^2)(1 - 5 u^2))|
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.storage import tables

CUTOFF = 7.5
BANDS = ("0-30", "30-60", "60-90")  # degrees of absolute latitude
DESCRIPTION = "histograms"
"""The key in the metadata of a file under which channels, ranges and scales stand."""
BINS = 6000  # 0.05 K for 50 to 350 K: a sixth of the best channels' noise or less


def latitude_band(lat: np.ndarray) -> np.ndarray:
    """Index into :data:`BANDS` of latitudes ``(n,)``: 0 up to 30°, 1 up to 60°, 2 poleward."""
    return np.digitize(np.abs(lat), [30.0, 60.0], right=True)


def on_scale(values: np.ndarray, logarithmic: Sequence[bool]) -> np.ndarray:
    """Values ``(…, channel)``, of ``logarithmic`` channels their logarithms, NaN where none."""
    if not any(logarithmic):
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithms = np.log(np.where(values > 0, values, np.nan))
    return np.where(np.asarray(logarithmic), logarithms, values)


class Histograms:
    """Counts of values within the valid ranges of their channels, by latitude band and bin.

    Those of parts are added in any order. Bins are equally wide, on logarithmic channels in the
    logarithm.

    Attributes
    ----------
    counts : np.ndarray
        ``(channel, band, bin)`` int64.
    low, width : list[float]
        Lower edge of the first bin and width of all bins by channel, in its unit or in its
        logarithm.
    """

    def __init__(
        self,
        channels: Sequence[str],
        ranges: Sequence[tuple[float, float]],
        logarithmic: Sequence[bool] | None = None,
    ):
        """Make empty histograms.

        Parameters
        ----------
        channels : Sequence[str]
            Channel names.
        ranges : Sequence[tuple[float, float]]
            Least and largest valid value by channel, in its unit.
        logarithmic : Sequence[bool], optional
            True for channels whose logarithm is counted; by default none.
        """
        self.channels = list(channels)
        self.ranges = [tuple(map(float, pair)) for pair in ranges]
        self.logarithmic = list(logarithmic or [False] * len(self.channels))
        # Bins are equally wide on the scale on which the statistics are made.
        low, high = on_scale(np.array(self.ranges, float).reshape(-1, 2).T, self.logarithmic)
        self.low = low.tolist()
        self.width = ((high - low) / BINS).tolist()
        self.counts = np.zeros((len(self.channels), len(BANDS), BINS), np.int64)

    def add(self, values: np.ndarray, lat: np.ndarray) -> None:
        """Count ``values (n, channel)`` at latitudes ``(n,)``, but missing and invalid ones."""
        bands = latitude_band(lat)
        scaled = on_scale(values, self.logarithmic)
        for i, (least, largest) in enumerate(self.ranges):
            with np.errstate(invalid="ignore"):
                good = (values[:, i] >= least) & (values[:, i] <= largest)
            bins = (
                ((scaled[good, i] - self.low[i]) / self.width[i]).astype(np.int64).clip(0, BINS - 1)
            )
            # One count for all bands: a number stands for a pair of band and bin.
            flat = np.bincount(bands[good] * BINS + bins, minlength=len(BANDS) * BINS)
            self.counts[i] += flat.reshape(len(BANDS), BINS)

    def _description(self) -> str:
        return json.dumps([self.channels, self.ranges, self.logarithmic])

    def write(self, path: Path) -> None:
        """Write Parquet, a row for each bin with values: channel, band, bin, count."""
        channel, band, number = np.nonzero(self.counts)
        columns = {
            "channel": pa.DictionaryArray.from_arrays(channel.astype(np.int32), self.channels),
            "band": pa.DictionaryArray.from_arrays(band.astype(np.int32), list(BANDS)),
            "bin": number.astype(np.int32),
            "count": self.counts[channel, band, number],
        }
        tables.write_parquet(path, pa.table(columns), metadata={DESCRIPTION: self._description()})

    def add_stored(self, path: Path) -> None:
        """Add the counts that :meth:`write` wrote.

        Raises ValueError when they are of other channels, ranges or scales.
        """
        with tables.open_parquet(path) as file:
            table = file.read()
        if table.schema.metadata.get(DESCRIPTION.encode()) != self._description().encode():
            raise ValueError(
                f"{path}: counts of other channels, ranges or scales, which cannot be added; "
                "delete it and run again"
            )
        table = table.unify_dictionaries().combine_chunks()
        index = []
        for name, texts in (("channel", self.channels), ("band", BANDS)):
            codes = table[name].combine_chunks()
            place = [list(texts).index(text) for text in codes.dictionary.to_pylist()]
            index.append(np.array(place, int)[codes.indices.to_numpy()])
        index.append(table["bin"].to_numpy())
        # a bin has one row in a file, so that none is added to twice
        self.counts[tuple(index)] += table["count"].to_numpy()

    def limits(self) -> "BiweightLimits":
        """Compute the bi-weight statistics of the counted values, exact to a bin's width."""
        shape = self.counts.shape[:2]
        mean = np.full(shape, np.nan)
        std = np.full(shape, np.nan)
        for index in np.ndindex(shape):
            low, width = self.low[index[0]], self.width[index[0]]
            centres = low + (np.arange(BINS) + 0.5) * width
            mean[index], std[index] = biweight(centres, self.counts[index], width)
        return BiweightLimits(self.channels, mean, std, self.counts.sum(axis=2), self.logarithmic)


def _median(values: np.ndarray, counts: np.ndarray) -> float:
    """Median of sorted ``values`` that occur ``counts`` times."""
    total = np.cumsum(counts)
    middle = np.searchsorted(total, [(total[-1] - 1) // 2, total[-1] // 2], side="right")
    return float(values[middle].mean())


def biweight(values: np.ndarray, counts: np.ndarray, floor: float) -> tuple[float, float]:
    """Compute the bi-weight mean and standard deviation of values that occur several times.

    Parameters
    ----------
    values : np.ndarray
        Sorted values, ``(n,)``.
    counts : np.ndarray
        Times that each value occurs, ``(n,)``.
    floor : float
        The least median absolute deviation and standard deviation: a bin's width is the best that
        the counts can tell, and a constant channel has no deviation.

    Returns
    -------
    mean, std : float
        In the unit of the values; NaN where nothing was counted.
    """
    if not counts.any():
        return np.nan, np.nan
    median = _median(values, counts)
    distance = np.abs(values - median)
    # The second median is over the same counts, in the order of distance.
    order = np.argsort(distance, kind="stable")
    deviation = max(_median(distance[order], counts[order]), floor)
    u = (values - median) / (CUTOFF * deviation)
    w = np.where(np.abs(u) < 1, 1 - u * u, 0.0)
    gap = values - median
    mean = median + (counts * gap * w**2).sum() / (counts * w**2).sum()
    spread = counts.sum() * (counts * gap**2 * w**4).sum()
    std = np.sqrt(spread) / abs((counts * w * (1 - 5 * u * u)).sum())
    return float(mean), max(float(std), floor)


@dataclass(frozen=True)
class BiweightLimits:
    """Bi-weight statistics by channel and latitude band.

    Attributes
    ----------
    channels : list[str]
        Channel names.
    mean, std : np.ndarray
        ``(channel, band)``, in the unit of the channel or of its logarithm; NaN without values.
    count : np.ndarray
        Number of values, ``(channel, band)``.
    logarithmic : list[bool]
        True for channels whose statistics are of the logarithm; empty where none is.
    """

    channels: list[str]
    mean: np.ndarray
    std: np.ndarray
    count: np.ndarray
    logarithmic: list[bool] = field(default_factory=list)

    def z(self, values: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Distance from the mean in standard deviations, of values at latitudes ``(n,)``.

        Both ``values`` and the result are ``(n, channel)``; NaN where value or limit is missing.
        """
        bands = latitude_band(lat)
        return (on_scale(values, self.logarithmic) - self.mean.T[bands]) / self.std.T[bands]

    def write(self, path: Path) -> None:
        """Write Parquet: channel, band, count, mean, std, logarithmic."""
        index = pd.MultiIndex.from_product([self.channels, BANDS], names=["channel", "band"])
        logarithmic = np.repeat(self.logarithmic or [False] * len(self.channels), len(BANDS))
        frame = pd.DataFrame(
            {
                "count": self.count.ravel(),
                "mean": self.mean.ravel(),
                "std": self.std.ravel(),
                "logarithmic": logarithmic,
            },
            index,
        )
        rows = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
        tables.write_parquet(path, rows.replace_schema_metadata())

    @classmethod
    def read(cls, path: Path) -> "BiweightLimits":
        """Read a table that :meth:`write` wrote."""
        frame = tables.read_parquet(path)
        channels = list(dict.fromkeys(frame["channel"]))
        mean, std, count = (
            frame[name].to_numpy().reshape(len(channels), len(BANDS))
            for name in ("mean", "std", "count")
        )
        return cls(channels, mean, std, count, frame["logarithmic"].tolist()[:: len(BANDS)])
