"""Scan geometry, BUFR elements and quality flags of the satellite sounders.

Numbers of elements are FXXYYY integers. Flag tables: WMO-No. 306, Volume I.2, Part C, 0-33-030, 031
and 033 (ATOVS), 0-33-078, 080 and 081 (ATMS). Bit 1 is the first one of an element, the most
significant. The channels' flags of ATOVS (0-33-032) are left alone: real messages of Metop-A have
"no good blackbody counts" on channels of AMSU-A whose temperatures are as good as their
neighbours'.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fuxiflow.observations.scan_geometry import zenith_at
from fuxiflow.physics import EARTH_RADIUS

ANTENNA = "antenna_"
"""Beginning of the names of antenna temperatures."""


@dataclass(frozen=True)
class Instrument:
    """The scan of an instrument, and the elements that its messages hold.

    Attributes
    ----------
    channels : tuple[str, ...]
        Names of the channels.
    number : int
        Element of channel numbers; 0 where the order of the temperatures tells the channels.
    values : tuple[int, ...]
        Elements of temperatures, or of scaled radiances.
    types : tuple[int, ...]
        Values of 0-02-019 (common code table C-8) that mean this instrument.
    positions : int
        Number of scan positions.
    duration : float
        Seconds that a scan takes.
    sensors : tuple[int, ...]
        Values of 0-02-048 that mean this instrument.
    first : int
        Channel number in messages of channel 1.
    step : float
        Degrees between neighbouring scan angles; 0 for a conical scan.
    views : int
        Number of scan positions that share a scan angle.
    zenith : float
        Constant zenith angle of a conical scan, in degrees.
    spacing : float
        Largest distance of neighbours in a conical scan, in km.
    slack : float
        Distance in km within which footprints lie of their nominal places.
    radiances : bool
        Whether the messages hold scaled radiances.
    frequencies : tuple[float, ...]
        Centre frequency in GHz of each channel number, empty where none is compared.
    more : int
        Channel numbers of the messages beyond ``channels``, such as that of HIRS's visible channel.
    """

    channels: tuple[str, ...]
    number: int
    values: tuple[int, ...]
    types: tuple[int, ...]
    positions: int
    duration: float
    sensors: tuple[int, ...] = ()
    first: int = 1
    step: float = 0.0
    views: int = 1
    zenith: float = np.nan
    spacing: float = 0.0
    slack: float = 20.0
    radiances: bool = False
    frequencies: tuple[float, ...] = ()
    more: int = 0

    def scan_angle(self, position: np.ndarray) -> np.ndarray:
        """Return the angle off nadir, in degrees, of scan positions; NaN outside the scan.

        For cross-track scans alone.
        """
        views = self.positions // self.views
        view = np.where(
            (position >= 1) & (position <= self.positions), (position - 1) // self.views, np.nan
        )
        return self.step * (view - (views - 1) / 2)

    def across(self, position: np.ndarray) -> np.ndarray:
        """Return the places of scan positions across the track, in km along the ground."""
        if not self.step:
            return self.spacing * np.asarray(position, float)
        angle = self.scan_angle(position)
        return np.radians(zenith_at(angle) - angle) * EARTH_RADIUS


def _numbers(count: int, prefix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(1, count + 1))


# centre frequencies in GHz; one may deviate as much as the versions of an instrument differ (AMSU-B
# and MHS) and as side bands lie off their centre
_ATMS = (23.8, 31.4, 50.3, 51.76, 52.8, 53.6, 54.4, 54.94, 55.5, *[57.29] * 6, 88.2, 165.5)
_AMSUA = (23.8, 31.4, 50.3, 52.8, 53.6, 54.4, 54.94, 55.5, *[57.29] * 6, 89.0)
_SSMIS = (50.3, 52.8, 53.6, 54.4, 55.5, 57.29, 59.4, 150.0, *[183.31] * 3, 19.35, 19.35, 22.235)
_DEVIATION = 0.05
# wavenumbers of HIRS/3 and HIRS/4 in cm-1, channels 1 to 19
_HIRS = (669, 680, 690, 703, 716, 733, 749, 900, 1030, 802, 1365, 1533, 2188, 2210, 2235, 2245)
_GHZ = 29.9792458  # of 1 cm-1

INSTRUMENTS = {
    "atms": Instrument(
        channels=_numbers(22) + _numbers(22, ANTENNA),
        number=5042,
        values=(12163, 12063),
        types=(621,),
        frequencies=(*_ATMS, *[183.31] * 5),
        positions=96,
        duration=8 / 3,
        step=1.11,
    ),
    "amsua": Instrument(
        channels=_numbers(15),
        number=2150,
        values=(12063, 12163),
        types=(570,),
        frequencies=_AMSUA,
        positions=30,
        duration=8,
        sensors=(3,),
        first=28,
        step=10 / 3,
    ),
    "mhs": Instrument(
        channels=_numbers(5),
        number=2150,
        values=(12063, 12163),
        types=(203, 574),
        frequencies=(89.0, 157.0, 183.31, 183.31, 190.31),
        positions=90,
        duration=8 / 3,
        sensors=(4, 11),
        first=43,
        step=10 / 9,
    ),
    "hirs4": Instrument(
        channels=_numbers(19),
        number=2150,
        values=(12063, 12163),
        types=(605, 606, 607),
        frequencies=tuple(wavenumber * _GHZ for wavenumber in _HIRS),
        more=1,
        positions=56,
        duration=6.4,
        sensors=(0,),
        step=1.8,
    ),
    "ssmis": Instrument(
        channels=_numbers(24),
        number=5042,
        values=(12163, 12063),
        types=(908,),
        frequencies=_SSMIS,
        positions=180,
        duration=1.9,
        zenith=53.1,
        spacing=60,
    ),
    "ssmi": Instrument(
        channels=("19V", "19H", "22V", "37V", "37H", "85V", "85H"),
        number=0,
        values=(12063, 12163),
        types=(905,),
        positions=128,
        duration=3.8,
        sensors=(6,),
        zenith=53.1,
        spacing=25,
    ),
    "iasi": Instrument(
        channels=_numbers(8461),
        number=5042,
        values=(14046,),
        types=(221,),
        positions=120,
        duration=8,
        step=10 / 3,
        views=4,
        slack=100,
        radiances=True,
    ),
}
"""The instruments by the variants of the reader ``bufr_sounder``.

Scan geometry: NOAA KLM User's Guide, appendix J; JPSS ATMS SDR ATBD, 474-00043; EUMETSAT IASI Level
1 Product Guide, EUM/OPS-EPS/MAN/04/0032; Kunkee et al. 2008, doi 10.1109/TGRS.2008.917980 (SSMIS).
"""

# elements of a channel: frequency in Hz, logarithm of the wavenumber in m-1
_FREQUENCY, _WAVENUMBER = 2153, 25076


def foreign_channels(
    kind: Instrument, codes: np.ndarray, values: np.ndarray, numbers: np.ndarray, marks: np.ndarray
) -> str:
    """Say why the channels of a message are not those of an instrument, empty where they may be.

    Parameters
    ----------
    kind : Instrument
        The instrument.
    codes : np.ndarray
        Descriptors of the elements ``(element,)``.
    values : np.ndarray
        Their values ``(n, element)``.
    numbers : np.ndarray
        Channel numbers ``(n, group)`` from 1.
    marks : np.ndarray
        Indices ``(group,)`` of the elements that begin a channel.

    Returns
    -------
    str
        What shows another instrument: channels that have numbers or not, higher numbers, or other
        frequencies.
    """
    if not kind.number:
        numbered = set(codes[: marks[-1]]) & {2150, 5042}
        return "its channels have numbers, and so are those of another instrument" * bool(numbered)
    highest = len([name for name in kind.channels if not name.startswith(ANTENNA)]) + kind.more
    with np.errstate(invalid="ignore"):
        # of all footprints: a flipped bit changes the number in one of them
        beyond = (numbers > highest).all(axis=0).sum()
    if beyond > 1:
        return f"{beyond} of its channels have numbers above {highest}"
    compared, wrong = 0, []
    for i, mark in enumerate(marks):
        end = marks[i + 1] if i + 1 < len(marks) else len(codes)
        number = numbers[0, i]
        if not 1 <= number <= len(kind.frequencies):
            continue
        for column in range(mark, end):
            value = values[0, column]
            if codes[column] == _FREQUENCY:
                frequency = value / 1e9
            elif codes[column] == _WAVENUMBER and value < 7:
                frequency = 10.0**value / 100.0 * _GHZ
            else:
                continue
            if not frequency > 0:
                continue
            compared += 1
            expected = kind.frequencies[int(number) - 1]
            if abs(frequency / expected - 1) > _DEVIATION:
                wrong.append(f"channel {number:.0f} is at {frequency:.4g} GHz, not {expected:.4g}")
    if wrong and len(wrong) >= min(2, compared):
        return f"its frequencies are those of another instrument: {wrong[0]}"
    return ""


# element of flags: its width, and the bits of which one is enough to reject the footprint
_FOOTPRINT_FLAGS = {
    # do not use; time sequence error; no calibration; no earth location
    33030: (24, (1, 2, 4, 5)),
    # bad time; not calibrated for time, thermometers or mode; not located for time; place not
    # reasonable
    33031: (24, (2, 5, 7, 10, 13, 16)),
    # all channels missing
    33033: (24, (22,)),
    # time sequence error; antenna position wrong in space or black-body view
    33080: (20, (14, 18, 19)),
}
# gain error; too few space views; too few black-body views
_CHANNEL_FLAGS = {33081: (12, (4, 6, 7))}
# bit n of it: the temperature of channel n - 1, up to 20, is unreasonable or was not computed
_VIEW_FLAGS = 33033
_GEOLOCATION = 33078
_NO_EPHEMERIS = 3  # of 0-33-078: more than a granule of attitude and ephemeris is missing


def any_bit(values: np.ndarray, width: int, numbers: tuple[int, ...]) -> np.ndarray:
    """Say where an element of flags has at least one of several bits set.

    Parameters
    ----------
    values : np.ndarray
        Values of the element ``(n,)``, NaN where missing.
    width : int
        Bits of the element.
    numbers : tuple[int, ...]
        Numbers of the bits; 1 is the most significant.

    Returns
    -------
    np.ndarray
        Booleans ``(n,)``, False where the element is missing.
    """
    mask = sum(1 << (width - number) for number in numbers)
    return (np.nan_to_num(values, nan=0).astype(np.int64) & mask) != 0


def flagged_footprints(head: Callable[[int], np.ndarray]) -> np.ndarray:
    """Say which footprints ``(n,)`` are flagged as a whole.

    ``head`` returns the values ``(n,)`` of an element before the channels, NaN where it is absent.
    """
    flagged = head(_GEOLOCATION) == _NO_EPHEMERIS
    for code, (width, numbers) in _FOOTPRINT_FLAGS.items():
        flagged = flagged | any_bit(head(code), width, numbers)
    return flagged


def flagged_channel(
    head: Callable[[int], np.ndarray], group: dict[int, np.ndarray], number: np.ndarray
) -> np.ndarray:
    """Say in which footprints the flags deny a channel its temperature.

    Parameters
    ----------
    head : Callable[[int], np.ndarray]
        Returns the values ``(n,)`` of an element before the channels, NaN where it is absent.
    group : dict[int, np.ndarray]
        Values ``(n,)`` of the channel's own elements.
    number : np.ndarray
        Number of the channel from 1, ``(n,)``, NaN where it cannot be known.

    Returns
    -------
    np.ndarray
        Booleans ``(n,)``.
    """
    flagged = np.zeros(len(number), bool)
    for code, (width, numbers) in _CHANNEL_FLAGS.items():
        if code in group:
            flagged |= any_bit(group[code], width, numbers)
    view = head(_VIEW_FLAGS)
    if np.isnan(view).all():
        return flagged
    view = np.nan_to_num(view, nan=0).astype(np.int64)
    shift = np.where((number >= 1) & (number <= 20), 24 - 1 - number, 0).astype(np.int64)
    return flagged | ((shift > 0) & (view >> shift & 1 == 1))
