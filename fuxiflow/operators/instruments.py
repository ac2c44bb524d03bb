"""Pass-bands of microwave sounders.

ATMS: centre frequencies and bandwidths of the JPSS ATMS SDR Algorithm Theoretical Basis Document, 474-00043, Table 2-2
(rectangular responses); ``offsets`` split a centre frequency into 2 or 4 side bands.
"""

from dataclasses import dataclass

import numpy as np

from fuxiflow.sources import SourceChannel

# bandwidth of one pass-band in MHz, by the frequency text of config/sources/*.yaml
_BANDWIDTHS = {
    "atms": {
        "23.8": 270, "31.4": 180, "50.3": 180, "51.76": 400, "52.8": 400, "53.596+-0.115": 170, "54.4": 400,
        "54.94": 400, "55.5": 330, "57.290344": 330, "57.290344+-0.217": 78, "57.290344+-0.3222+-0.048": 36,
        "57.290344+-0.3222+-0.022": 16, "57.290344+-0.3222+-0.010": 8, "57.290344+-0.3222+-0.0045": 3, "88.2": 2000,
        "165.5": 3000, "183.31+-7.0": 2000, "183.31+-4.5": 2000, "183.31+-3.0": 1000, "183.31+-1.8": 1000,
        "183.31+-1.0": 500,
    },
}  # fmt: skip


@dataclass(frozen=True)
class PassBand:
    """The pass-bands of one channel: centres in GHz (one per side band), width of each in GHz."""

    name: str
    centres: tuple[float, ...]
    width: float
    vertical: bool

    @property
    def frequency(self) -> float:
        """Mean of the centres in GHz."""
        return float(np.mean(self.centres))


def side_bands(text: str) -> tuple[float, ...]:
    """Centres in GHz of the side bands of a frequency text such as ``57.290344+-0.3222+-0.048``."""
    first, *offsets = (float(part) for part in text.split("+-"))
    centres = [first]
    for offset in offsets:
        centres = [centre + sign * offset for centre in centres for sign in (-1.0, 1.0)]
    return tuple(centres)


def pass_bands(instrument: str, channels: list[SourceChannel]) -> list[PassBand]:
    """The pass-bands of the ``channels`` of a source with ``instrument``.

    KeyError lists the known instruments or, for a frequency the instrument does not have, its frequencies.
    """
    if instrument not in _BANDWIDTHS:
        raise KeyError(f"no pass-bands for instrument {instrument!r}; known: {', '.join(_BANDWIDTHS)}")
    widths = _BANDWIDTHS[instrument]
    unknown = [channel.frequency for channel in channels if channel.frequency not in widths]
    if unknown:
        raise KeyError(f"{instrument} has no channel at {unknown[0]} GHz; known: {', '.join(widths)}")
    return [
        PassBand(c.name, side_bands(c.frequency), widths[c.frequency] / 1000.0, c.polarisation in ("QV", "V"))
        for c in channels
    ]


def quadrature(bands: list[PassBand], points: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes over all pass-bands.

    Returns frequencies ``(node,)`` in GHz and weights ``(node, channel)`` whose columns add up to 1.
    """
    x, w = np.polynomial.legendre.leggauss(points)
    frequencies, rows = [], []
    for index, band in enumerate(bands):
        for centre in band.centres:
            frequencies.append(centre + 0.5 * band.width * x)
            block = np.zeros((points, len(bands)))
            block[:, index] = 0.5 * w / len(band.centres)
            rows.append(block)
    return np.concatenate(frequencies), np.concatenate(rows)
