"""Pass-bands of microwave sounders: centre frequencies, side bands and bandwidths.

Responses are taken as rectangular. Centre frequencies are those of ``config/sources/*.yaml``;
``offsets`` split them into 2 or 4 side bands. Bandwidths:

- ``atms``: JPSS ATMS SDR Algorithm Theoretical Basis Document, 474-00043, Table 2-2.
- ``amsua``: NOAA KLM User's Guide, section 3.3 (specified); channel 15 as flown, two bands of 1000
  MHz at 1000 MHz from the centre (CRTM's sensor definitions, after the calibration log books).
- ``mhs``: NOAA KLM User's Guide, NOAA-N supplement, section 3.9 (specified).
- ``mwts3``: NSMC, instrument page of MWTS-III.
- ``mwhs2``: NSMC, instrument page of MWHS-II.
- ``ssmis``: measured 3 dB bandwidths of F16 in Kunkee et al. (2008, doi:10.1109/TGRS.2008.917980)
  and CRTM's sensor definitions.
"""

from dataclasses import dataclass

import numpy as np

from fuxiflow.config.sources import SourceChannel

# bandwidth of one pass-band in MHz, by the frequency text of config/sources/*.yaml
_BANDWIDTHS = {
    "atms": {
        "23.8": 270,
        "31.4": 180,
        "50.3": 180,
        "51.76": 400,
        "52.8": 400,
        "53.596+-0.115": 170,
        "54.4": 400,
        "54.94": 400,
        "55.5": 330,
        "57.290344": 330,
        "57.290344+-0.217": 78,
        "57.290344+-0.3222+-0.048": 36,
        "57.290344+-0.3222+-0.022": 16,
        "57.290344+-0.3222+-0.010": 8,
        "57.290344+-0.3222+-0.0045": 3,
        "88.2": 2000,
        "165.5": 3000,
        "183.31+-7.0": 2000,
        "183.31+-4.5": 2000,
        "183.31+-3.0": 1000,
        "183.31+-1.8": 1000,
        "183.31+-1.0": 500,
    },
    "amsua": {
        "23.8": 270,
        "31.4": 180,
        "50.3": 180,
        "52.8": 400,
        "53.596+-0.115": 170,
        "54.4": 400,
        "54.94": 400,
        "55.5": 330,
        "57.290344": 330,
        "57.290344+-0.217": 78,
        "57.290344+-0.3222+-0.048": 36,
        "57.290344+-0.3222+-0.022": 16,
        "57.290344+-0.3222+-0.010": 8,
        "57.290344+-0.3222+-0.0045": 3,
        "89.0": 1000,
    },
    "mhs": {
        "89.0": 2800,
        "157.0": 2800,
        "183.311+-1.0": 500,
        "183.311+-3.0": 1000,
        "190.311": 2200,
    },
    "mwts3": {
        "23.8": 270,
        "31.4": 180,
        "50.3": 180,
        "51.76": 400,
        "52.8": 400,
        "53.246+-0.08": 140,
        "53.596+-0.115": 170,
        "53.948+-0.081": 142,
        "54.4": 400,
        "54.94": 400,
        "55.5": 330,
        "57.290344": 330,
        "57.290344+-0.217": 78,
        "57.290344+-0.3222+-0.048": 36,
        "57.290344+-0.3222+-0.022": 16,
        "57.290344+-0.3222+-0.010": 8,
        "57.290344+-0.3222+-0.0045": 3,
    },
    "mwhs2": {
        "89.0": 1500,
        "118.75+-0.08": 20,
        "118.75+-0.2": 100,
        "118.75+-0.3": 165,
        "118.75+-0.8": 200,
        "118.75+-1.1": 200,
        "118.75+-2.5": 200,
        "118.75+-3.0": 1000,
        "118.75+-5.0": 2000,
        "166.0": 1500,
        "183.31+-1.0": 500,
        "183.31+-1.8": 700,
        "183.31+-3.0": 1000,
        "183.31+-4.5": 2000,
        "183.31+-7.0": 2000,
    },
    "ssmis": {
        "50.3": 380,
        "52.8": 388.8,
        "53.596": 380,
        "54.4": 382.5,
        "55.5": 391.3,
        "57.29": 330,
        "59.4": 238.8,
        "150+-1.25": 1642,
        "183.31+-6.6": 1526,
        "183.31+-3.0": 1019,
        "183.31+-1.0": 512.5,
        "19.35": 355,
        "22.235": 407.5,
        "37.0": 1580,
        "91.655+-0.9": 1415,
        "63.283248+-0.285271": 1.36,
        "60.792668+-0.357892": 1.35,
        "60.792668+-0.357892+-0.002": 1.29,
        "60.792668+-0.357892+-0.0055": 2.62,
        "60.792668+-0.357892+-0.016": 7.32,
        "60.792668+-0.357892+-0.05": 26.5,
    },
}
# side bands in GHz that a frequency text leaves out: the band about the local oscillator is stopped
_UNSAID = {("amsua", "89.0"): "89.0+-1.0"}
_ON_A_LINE = {("ssmis", "63.283248+-0.285271"), ("ssmis", "60.792668+-0.357892")}
_POINTS_ON_A_LINE = 5
CONICAL = frozenset({"ssmis"})
"""Instruments that scan cones: their polarisation does not turn with the scan."""


@dataclass(frozen=True)
class PassBand:
    """The pass-bands of one channel.

    Attributes
    ----------
    name : str
        Name of the channel.
    centres : tuple[float, ...]
        Centre frequencies in GHz, one for each side band.
    width : float
        Width of each pass-band in GHz.
    vertical : bool
        Whether the polarisation is (quasi-)vertical.
    line : bool
        Whether a band lies on the centre of an absorption line that is narrower than itself.
    """

    name: str
    centres: tuple[float, ...]
    width: float
    vertical: bool
    line: bool = False

    @property
    def frequency(self) -> float:
        """Mean of the centres in GHz."""
        return float(np.mean(self.centres))


def side_bands(text: str) -> tuple[float, ...]:
    """Return the centres in GHz of a frequency's side bands, as of ``57.290344+-0.3222+-0.048``."""
    first, *offsets = (float(part) for part in text.split("+-"))
    centres = [first]
    for offset in offsets:
        centres = [centre + sign * offset for centre in centres for sign in (-1.0, 1.0)]
    return tuple(centres)


def pass_bands(instrument: str, channels: list[SourceChannel]) -> list[PassBand]:
    """Return the pass-bands of the ``channels`` of a source with ``instrument``.

    KeyError lists the instruments with pass-bands or, for a frequency that the instrument does not
    have, its frequencies.
    """
    if instrument not in _BANDWIDTHS:
        raise KeyError(
            f"no pass-bands for instrument {instrument!r}; known: {', '.join(_BANDWIDTHS)}"
        )
    widths = _BANDWIDTHS[instrument]
    unknown = [channel.frequency for channel in channels if channel.frequency not in widths]
    if unknown:
        raise KeyError(
            f"{instrument} has no channel at {unknown[0]} GHz; known: {', '.join(widths)}"
        )
    return [
        PassBand(
            c.name,
            side_bands(_UNSAID.get((instrument, c.frequency), c.frequency)),
            widths[c.frequency] / 1000.0,
            c.polarisation in ("QV", "V"),
            (instrument, c.frequency) in _ON_A_LINE,
        )
        for c in channels
    ]


def quadrature(bands: list[PassBand], points: int) -> tuple[np.ndarray, np.ndarray]:
    """Place Gauss-Legendre nodes in all pass-bands, five times as many in those that lie on a line.

    Returns frequencies ``(node,)`` in GHz and weights ``(node, channel)`` whose columns add up to
    1.
    """
    frequencies, rows = [], []
    for index, band in enumerate(bands):
        count = points * _POINTS_ON_A_LINE if band.line else points
        x, w = np.polynomial.legendre.leggauss(count)
        for centre in band.centres:
            frequencies.append(centre + 0.5 * band.width * x)
            # a node serves its own channel alone
            block = np.zeros((count, len(bands)))
            block[:, index] = 0.5 * w / len(band.centres)
            rows.append(block)
    return np.concatenate(frequencies), np.concatenate(rows)
