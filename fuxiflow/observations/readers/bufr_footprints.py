"""One BUFR message of a satellite sounder as footprints: which elements hold what, for each instrument.

Runs in the decoding process; see :mod:`fuxiflow.observations.readers.bufr_sounder`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fuxiflow.observations.readers import bufr_flags
from fuxiflow.observations.scan_geometry import zenith_at
from fuxiflow.physics import EARTH_RADIUS, brightness_temperature

_PHYSICAL = (2.7, 400.0)  # K: the cosmic background, and more than any scene
_TILT = (
    3.0  # degrees of zenith: orbits of 805 to 870 km, attitude, and footprints beside the scan line
)
_ANTENNA_TEMPERATURE = 12066
_RANGE, _EXPONENT, _FLAG = (
    (25140, 25141),
    25142,
    33060,
)  # of IASI: first and last channel, scale, bad (1)
ANTENNA = "antenna_"  # what names of antenna temperatures begin with


@dataclass(frozen=True)
class Instrument:
    """How an instrument scans and where its messages hold what; numbers of elements as FXXYYY integers.

    ``number`` is the element of channel numbers, of which ``first`` is channel 1; it is 0 where channels are told by
    their order. ``values`` are the elements of temperatures, or of scaled ``radiances``. ``sensors`` are the values of
    0-02-048 and ``types`` those of 0-02-019 (common code table C-8). ``views`` is how many scan positions share a scan
    angle, ``step`` the angle in degrees between them, 0 for a conical scan of constant ``zenith`` with neighbours at
    most ``spacing`` km apart; a scan takes ``duration`` s, footprints lie within ``slack`` km of their nominal places.
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

    def scan_angle(self, position: np.ndarray) -> np.ndarray:
        """Angle off nadir (degrees) of scan positions of a cross-track scan, NaN outside the scan."""
        views = self.positions // self.views
        view = np.where(
            (position >= 1) & (position <= self.positions), (position - 1) // self.views, np.nan
        )
        return self.step * (view - (views - 1) / 2)

    def across(self, position: np.ndarray) -> np.ndarray:
        """Places of scan positions across the track, in km along the ground."""
        if not self.step:
            return self.spacing * np.asarray(position, float)
        angle = self.scan_angle(position)
        return np.radians(zenith_at(angle) - angle) * EARTH_RADIUS


def _numbers(count: int, prefix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{i}" for i in range(1, count + 1))


# scan geometry: NOAA KLM User's Guide, appendix J; JPSS ATMS SDR ATBD, 474-00043; EUMETSAT IASI Level 1 Product Guide,
# EUM/OPS-EPS/MAN/04/0032; Kunkee et al. 2008, doi 10.1109/TGRS.2008.917980 (SSMIS)
INSTRUMENTS = {
    "atms": Instrument(
        _numbers(22) + _numbers(22, ANTENNA), 5042, (12163, 12063), (621,), 96, 8 / 3, step=1.11
    ),
    "amsua": Instrument(_numbers(15), 2150, (12063, 12163), (570,), 30, 8, (3,), 28, 10 / 3),
    "mhs": Instrument(
        _numbers(5), 2150, (12063, 12163), (203, 574), 90, 8 / 3, (4, 11), 43, 10 / 9
    ),
    "hirs4": Instrument(_numbers(19), 2150, (12063, 12163), (605, 606, 607), 56, 6.4, (0,), 1, 1.8),
    "ssmis": Instrument(
        _numbers(24), 5042, (12163, 12063), (908,), 180, 1.9, zenith=53.1, spacing=60
    ),
    "ssmi": Instrument(
        ("19V", "19H", "22V", "37V", "37H", "85V", "85H"),
        0,
        (12063, 12163),
        (905,),
        128,
        3.8,
        (6,),
        zenith=53.1,
        spacing=25,
    ),
    "iasi": Instrument(
        _numbers(8461),
        5042,
        (14046,),
        (221,),
        120,
        8,
        step=10 / 3,
        views=4,
        slack=100,
        radiances=True,
    ),
}


class OtherInstrument(NamedTuple):
    """A message of another instrument."""

    why: str


class SounderFootprints(NamedTuple):
    """Footprints of one instrument, arrays ``(n,)`` and ``values (n, channel)`` in K; what is missing is NaN, NaT,
    -1 (satellite) or 0 (position). ``note`` says what is odd about the message."""

    satellite: np.ndarray
    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    zenith: np.ndarray
    azimuth: np.ndarray
    position: np.ndarray
    flagged: np.ndarray
    note: np.ndarray
    values: np.ndarray

    def take(self, rows: np.ndarray) -> "SounderFootprints":
        """Some of the footprints."""
        return SounderFootprints(*(array[rows] for array in self))

    @staticmethod
    def join(parts: Sequence["SounderFootprints"]) -> "SounderFootprints":
        """Footprints of several messages as one."""
        return SounderFootprints(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def extract(
    instrument: str, channels: Sequence[str], data: bytes
) -> SounderFootprints | OtherInstrument:
    """The footprints of a message; ValueError where it lacks what a footprint needs, ecCodes' errors where damaged."""
    from fuxiflow.observations import elements  # loads ecCodes: in the decoding process alone

    kind = INSTRUMENTS[instrument]
    codes, matrix = elements.matrix(data)
    codes = np.array(codes)
    marks = np.flatnonzero(np.isin(codes, [kind.number] if kind.number else kind.values))
    told = {2019: kind.types, 2048: kind.sensors}
    ahead = {
        code: column
        for column, code in reversed(list(enumerate(codes[: marks[0] if len(marks) else None])))
    }

    def column(*alternatives: int) -> np.ndarray:
        """The first of several elements that the footprint's head has, else NaN."""
        found = next((code for code in alternatives if code in ahead), None)
        return np.full(len(matrix), np.nan) if found is None else matrix[:, ahead[found]]

    for code, expected in told.items():
        seen = np.unique(column(code)[~np.isnan(column(code))]).astype(int)
        if len(seen) and expected and not set(seen) & set(expected):
            return OtherInstrument(
                f"0-{code // 1000:02d}-{code % 1000:03d} is {seen[0]}, not of {instrument}"
            )
    values, note = (
        _values(kind, channels, codes, matrix, marks, column) if len(marks) else (None, "")
    )
    if values is None:
        return OtherInstrument(f"it holds no channels of {instrument}")
    position, zenith = _scan(kind, column(5043, 30193), column(7024))
    lat, lon = column(5001, 5002), column(6001, 6002)
    # a flag that follows a range of channels is theirs alone
    flagged = (column(_FLAG) == 1) & (
        codes[ahead.get(_FLAG, 0) - 1] != _RANGE[1]
    ) | bufr_flags.unusable(column)
    nowhere = (lat == 0) & (lon == 0)  # what some producers write where a scan has no location
    return SounderFootprints(
        np.nan_to_num(column(1007), nan=-1).astype(np.int32),
        _time(*map(column, range(4001, 4007))),
        np.where(nowhere, np.nan, lat),
        np.where(nowhere, np.nan, lon),
        zenith,
        column(5021),
        position,
        flagged,
        np.full(len(matrix), note, object),
        values,
    )


def _values(
    kind: Instrument,
    channels: Sequence[str],
    codes: np.ndarray,
    matrix: np.ndarray,
    marks: np.ndarray,
    head: Callable[..., np.ndarray],
) -> tuple[np.ndarray | None, str]:
    """Temperatures ``(n, channel)`` in K, None where not one channel is of the instrument, and a note on them. What is
    given twice is missing: one is wrong; so is what flags of the channel or, from ``head``, of the view call so."""
    found = np.full((len(matrix), len(channels)), np.nan)
    given = np.zeros(found.shape, int)
    place = {name: i for i, name in enumerate(channels)}
    count = sum(not name.startswith(ANTENNA) for name in kind.channels)
    numbers, note = _channel_numbers(kind, codes, matrix, marks)
    equal, compared, any_known = True, False, False
    for i, mark in enumerate(marks):
        group = codes[mark : marks[i + 1] if i + 1 < len(marks) else None]
        columns = {code: mark + k for k, code in reversed(list(enumerate(group)))}
        value = next((matrix[:, columns[code]] for code in kind.values if code in columns), None)
        bad = bufr_flags.bad_channel(
            head, {code: matrix[:, place] for code, place in columns.items()}, numbers[:, i]
        )
        antenna = (
            matrix[:, columns[_ANTENNA_TEMPERATURE]] if _ANTENNA_TEMPERATURE in columns else None
        )
        if value is not None and antenna is not None:
            equal &= bool(((value == antenna) | np.isnan(antenna)).all())
            compared |= bool(np.isfinite(antenna).any())
        for number in sorted({int(n) for n in numbers[:, i].tolist() if 1 <= n <= count}):
            rows, name = numbers[:, i] == number, kind.channels[number - 1]
            for key, source in ((name, value), (ANTENNA + name, antenna)):
                any_known |= source is not None
                if source is not None and key in place:
                    found[rows, place[key]] = np.where(bad, np.nan, source)[rows]
                    given[rows, place[key]] += 1
    found[given > 1] = np.nan
    if kind.radiances:
        found = _brightness(found, np.array(channels, int), codes[: marks[0]], matrix)
    low, high = _PHYSICAL
    with np.errstate(invalid="ignore"):
        found[~((found >= low) & (found <= high))] = np.nan
    if equal and compared:
        note = "antenna and brightness temperatures are equal: no antenna correction"
    return (found.astype(np.float32) if any_known else None), note


def _channel_numbers(
    kind: Instrument, codes: np.ndarray, matrix: np.ndarray, marks: np.ndarray
) -> tuple[np.ndarray, str]:
    """Channel numbers ``(n, group)`` from 1, NaN where they cannot be believed, and a note if there are such.

    IASI's are believed as long as they increase: in messages of 2012 that ECMWF converted, numbers and radiances
    have changed places after 300 channels.
    """
    if not kind.number:
        return np.broadcast_to(np.arange(1.0, len(marks) + 1), (len(matrix), len(marks))), ""
    numbers = matrix[:, marks] - kind.first + 1
    if not kind.radiances:
        return numbers, ""
    follows = np.array([mark + 1 < len(codes) and codes[mark + 1] in kind.values for mark in marks])
    with np.errstate(invalid="ignore"):
        rising = np.logical_and.accumulate(np.diff(numbers, axis=1, prepend=0) > 0, axis=1)
    lost = int((follows & ~rising & np.isfinite(numbers)).sum(axis=1).max(initial=0))
    note = (
        f"{lost} of {follows.sum()} radiances are not read: their channel numbers do not increase"
        if lost
        else ""
    )
    return np.where(rising, numbers, np.nan), note


def _brightness(
    scaled: np.ndarray, numbers: np.ndarray, head: np.ndarray, matrix: np.ndarray
) -> np.ndarray:
    """Brightness temperatures of IASI's scaled radiances ``(n, channel)``, of channels with the given ``numbers``.

    The head lists ranges of channels, each with the exponent of its scale: radiance = scaled value x 10^-exponent in
    W m-2 sr-1 (m-1)-1 (WMO-No. 306, 0-14-046); and, in some templates, quality flags of ranges. Channel n is at
    645 + (n - 1) / 4 cm-1 (EUMETSAT IASI Level 1 Product Guide, EUM/OPS-EPS/MAN/04/0032).
    """
    exponents, bad = np.full(scaled.shape, np.nan), np.zeros(scaled.shape, bool)
    for i in range(len(head) - 2):
        if tuple(head[i : i + 2]) == _RANGE and head[i + 2] in (_EXPONENT, _FLAG):
            first, last, said = matrix[:, i : i + 3].T[:, :, None]
            inside = (numbers >= first) & (numbers <= last)
            if head[i + 2] == _EXPONENT:
                exponents = np.where(inside, said, exponents)
            else:
                bad |= inside & (said == 1)
    return np.where(
        bad,
        np.nan,
        brightness_temperature(scaled * 10.0**-exponents, 64500.0 + 25.0 * (numbers - 1)),
    )


def _scan(
    kind: Instrument, number: np.ndarray, zenith: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scan positions from 1, 0 where missing, and zenith angles, whatever their sign, NaN where the position does not
    allow them.

    Some producers count positions from 0: that which suits the zenith angles better is believed. A conical scan whose
    messages give no angles has its nominal one.
    """
    if not kind.step:
        seen = np.full(len(zenith), kind.zenith) if np.isnan(zenith).all() else np.abs(zenith)
        misfits = {0: np.abs(seen - kind.zenith)}
    else:
        seen = np.abs(zenith)
        misfits = {
            shift: np.abs(seen - zenith_at(np.abs(kind.scan_angle(number + shift))))
            for shift in (0, 1)
        }
    typical = {
        shift: np.nanmean(np.minimum(misfit, 2 * _TILT))
        for shift, misfit in misfits.items()
        if np.isfinite(misfit).any()
    }
    shift = min(typical, key=typical.get, default=0)
    with np.errstate(invalid="ignore"):
        placed = (number + shift >= 1) & (number + shift <= kind.positions)
        fits = (placed | (not kind.step)) & (misfits[shift] <= _TILT)
    return np.where(placed, number + shift, 0).astype(np.int16), np.where(fits, seen, np.nan)


def _time(
    year: np.ndarray,
    month: np.ndarray,
    day: np.ndarray,
    hour: np.ndarray,
    minute: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    """UTC ``datetime64[us]`` of time components, NaT where one is missing or out of its range."""
    parts = np.stack([year, month, day, hour, minute, second])
    low, high = (
        np.array([1970, 1, 1, 0, 0, 0])[:, None],
        np.array([2100, 12, 31, 23, 59, 60.999])[:, None],
    )
    with np.errstate(invalid="ignore"):
        valid = ((parts >= low) & (parts <= high)).all(axis=0)
    whole = np.where(valid, parts, low).astype(np.int64)
    months = (12 * (whole[0] - 1970) + whole[1] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (whole[2] - 1)
    valid &= days.astype("datetime64[M]") == months
    microseconds = np.round(np.where(valid, second, 0) * 1e6).astype("timedelta64[us]")
    time = (
        days.astype("datetime64[us]")
        + (whole[3] * 60 + whole[4]).astype("timedelta64[m]")
        + microseconds
    )
    return np.where(valid, time, np.datetime64("NaT", "us"))
