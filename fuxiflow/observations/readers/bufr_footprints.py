"""Extract the footprints of a satellite sounder from one BUFR message.

Runs in the decoding process; see :mod:`fuxiflow.observations.readers.bufr_sounder`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fuxiflow.observations import clocks
from fuxiflow.observations.bufr_messages import BufrMessage
from fuxiflow.observations.readers import bufr_instruments
from fuxiflow.observations.readers.bufr_instruments import ANTENNA, INSTRUMENTS, Instrument
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.scan_geometry import MANY, zenith_at
from fuxiflow.physics import brightness_temperature

PHYSICAL = (2.7, 400.0)
"""K: the cosmic background, and more than any scene."""
# degrees of zenith: orbits of 805 to 870 km, attitude, and footprints beside the scan line
_TILT = 3.0
_ANTENNA_TEMPERATURE = 12066
# of IASI's ranges of channels: first and last channel, exponent of the scale, flag (1 is bad)
_RANGE = (25140, 25141)
_EXPONENT = 25142
_FLAG = 33060


BY_BODY, BY_HEADER, BY_HEADER_TO_THE_MINUTE = DATED = range(3)
"""Origins of a footprint's date: the body, or the message's header where the body lacks a part of
it; such as lack the minute share the header's time."""


class OtherInstrument(NamedTuple):
    """A message of another instrument, and how it shows."""

    why: str


class SounderFootprints(NamedTuple):
    """Footprints of one instrument, arrays ``(n,)`` and ``values (n, channel)`` in K.

    Times are UTC, angles and coordinates degrees. What is missing is NaN, NaT, -1 (satellite) or 0
    (position). ``flagged`` are those that their producer calls unusable. ``note`` says what is odd
    about the message. ``dated`` is one of :data:`DATED`. ``lost (n, channel)`` is 0 or the reason
    for which a value that the message holds is missing.
    """

    satellite: np.ndarray
    time: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    zenith: np.ndarray
    azimuth: np.ndarray
    position: np.ndarray
    flagged: np.ndarray
    note: np.ndarray
    dated: np.ndarray
    lost: np.ndarray
    values: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "SounderFootprints":
        """Return the footprints of some ``rows``, indices or a slice."""
        # of tables the memory keeps its order: channel by channel, or row by row
        return SounderFootprints(
            *(
                np.take(array.T, rows, axis=-1).T
                if array.flags.f_contiguous and not isinstance(rows, slice)
                else array[rows]
                for array in self
            )
        )

    @staticmethod
    def join(parts: Sequence["SounderFootprints"]) -> "SounderFootprints":
        """Join the footprints of several messages."""
        return SounderFootprints(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def extract_footprints(
    instrument: str, channels: Sequence[str], data: bytes
) -> SounderFootprints | OtherInstrument:
    """Extract the footprints of a message.

    Parameters
    ----------
    instrument : str
        Name of one of :data:`.bufr_instruments.INSTRUMENTS`.
    channels : Sequence[str]
        Names of the channels to extract.
    data : bytes
        The message.

    Returns
    -------
    SounderFootprints | OtherInstrument
        The footprints, or why the message is not one of this instrument.

    Raises
    ------
    ValueError
        When the message lacks what a footprint needs. ecCodes has errors of its own.
    """
    from fuxiflow.observations import bufr_elements  # loads ecCodes: in the decoding process alone

    kind = INSTRUMENTS[instrument]
    codes, matrix = bufr_elements.element_matrix(data)
    codes = np.array(codes)
    # each channel begins with its number, or, where it has none, with its temperature
    marks = np.flatnonzero(np.isin(codes, [kind.number] if kind.number else kind.values))
    head_codes = codes[: marks[0] if len(marks) else None]
    places = {code: column for column, code in reversed(list(enumerate(head_codes)))}

    def head(*alternatives: int) -> np.ndarray:
        """Return the values of the first of several elements that the head has, else NaN."""
        present = next((code for code in alternatives if code in places), None)
        return np.full(len(matrix), np.nan) if present is None else matrix[:, places[present]]

    for code, expected in {2019: kind.types, 2048: kind.sensors}.items():
        seen = np.unique(head(code)[~np.isnan(head(code))]).astype(int)
        if len(seen) and expected and not set(seen) & set(expected):
            return OtherInstrument(
                f"0-{code // 1000:02d}-{code % 1000:03d} is {seen[0]}, not of {instrument}"
            )
    if len(marks):
        numbers, _ = _channel_numbers(kind, codes, matrix, marks)
        foreign = bufr_instruments.foreign_channels(kind, codes, matrix, numbers, marks)
        if foreign:
            return OtherInstrument(f"{foreign}; expected {instrument}")
    values, lost, note = (
        _values(kind, channels, codes, matrix, marks, head) if len(marks) else (None, None, "")
    )
    if values is None:
        return OtherInstrument(f"it holds no channels of {instrument}")
    position, zenith = positions_and_zeniths(kind, head(5043, 30193), head(7024))
    lat, lon = head(5001, 5002), head(6001, 6002)
    # a flag that follows a range of channels is theirs alone
    flag_of_range = codes[places.get(_FLAG, 0) - 1] == _RANGE[1]
    flagged = (head(_FLAG) == 1) & (not flag_of_range)
    flagged = flagged | bufr_instruments.flagged_footprints(head)
    time, dated = _times(data, [head(code) for code in range(4001, 4007)])
    nowhere = (lat == 0) & (lon == 0)  # what some producers write where a scan has no location
    return SounderFootprints(
        np.nan_to_num(head(1007), nan=-1).astype(np.int32),
        time,
        np.where(nowhere, np.nan, lat),
        np.where(nowhere, np.nan, lon),
        zenith,
        head(5021),
        position,
        flagged,
        np.full(len(matrix), note, object),
        dated,
        lost,
        values,
    )


def _times(data: bytes, parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the times of footprints ``(n,)``, and what their dates are from, one of :data:`DATED`.

    Where no footprint of a message has a whole date, the header's completes them.
    """
    time = clocks.times_of_dates(*parts)
    dated = np.full(len(time), BY_BODY, np.uint8)
    header = BufrMessage(0, data).header
    if header is None or header.time is None or not np.isnat(time).all():
        return time, dated
    about = np.datetime64(header.time, "us")
    for i, row in enumerate(zip(*parts, strict=True)):
        time[i], completed = clocks.complete_time(row, about, header.century)
        if completed:
            dated[i] = BY_HEADER_TO_THE_MINUTE if np.isnan(row[4]) else BY_HEADER
    return time, dated


def _values(
    kind: Instrument,
    channels: Sequence[str],
    codes: np.ndarray,
    matrix: np.ndarray,
    marks: np.ndarray,
    head: Callable[..., np.ndarray],
) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Collect the temperatures of a message.

    A channel that is there twice is missing: one of the two is wrong. So is a channel that its own
    flags, or those of the view, deny.

    Parameters
    ----------
    kind : Instrument
        The instrument.
    channels : Sequence[str]
        Names of the channels to collect.
    codes : np.ndarray
        Descriptors of the elements ``(element,)``.
    matrix : np.ndarray
        Their values ``(n, element)``.
    marks : np.ndarray
        Indices ``(group,)`` of the elements that begin a channel.
    head : Callable[..., np.ndarray]
        Returns the values ``(n,)`` of an element before the channels.

    Returns
    -------
    temperatures : np.ndarray | None
        ``(n, channel)`` in K, NaN where missing; None where no channel is of the instrument.
    lost : np.ndarray
        ``(n, channel)``, 0 or the reason for which a value that is there is not used.
    note : str
        What is odd about them, or empty.
    """
    collected = np.full((len(matrix), len(channels)), np.nan)
    times_seen = np.zeros(collected.shape, int)
    lost = np.zeros(collected.shape, np.uint8)
    place = {name: i for i, name in enumerate(channels)}
    count = sum(not name.startswith(ANTENNA) for name in kind.channels)
    numbers, note = _channel_numbers(kind, codes, matrix, marks)
    equal = True
    compared = False
    any_channel = False
    for i, mark in enumerate(marks):
        group = codes[mark : marks[i + 1] if i + 1 < len(marks) else None]
        columns = {code: mark + k for k, code in reversed(list(enumerate(group)))}
        value = next((matrix[:, columns[code]] for code in kind.values if code in columns), None)
        bad = bufr_instruments.flagged_channel(
            head, {code: matrix[:, column] for code, column in columns.items()}, numbers[:, i]
        )
        antenna = (
            matrix[:, columns[_ANTENNA_TEMPERATURE]] if _ANTENNA_TEMPERATURE in columns else None
        )
        if value is not None and antenna is not None:
            equal &= bool(((value == antenna) | np.isnan(antenna)).all())
            compared |= bool(np.isfinite(antenna).any())
        # footprints of a message may list the same channels in another order
        for number in sorted({int(n) for n in numbers[:, i].tolist() if 1 <= n <= count}):
            rows = numbers[:, i] == number
            name = kind.channels[number - 1]
            for key, source in ((name, value), (ANTENNA + name, antenna)):
                any_channel |= source is not None
                if source is not None and key in place:
                    collected[rows, place[key]] = np.where(bad, np.nan, source)[rows]
                    lost[rows, place[key]] = np.where(
                        bad & np.isfinite(source), np.uint8(Reason.FLAGGED), np.uint8(0)
                    )[rows]
                    times_seen[rows, place[key]] += 1
    collected[times_seen > 1] = np.nan
    lost[times_seen > 1] = Reason.TWICE
    if kind.radiances:
        scaled = collected
        collected = _brightness(collected, np.array(channels, int), codes[: marks[0]], matrix)
        lost[np.isfinite(scaled) & np.isnan(collected)] = Reason.FLAGGED
    low, high = PHYSICAL
    with np.errstate(invalid="ignore"):
        impossible = (collected < low) | (collected > high)
    collected[impossible | ~np.isfinite(collected)] = np.nan
    lost[impossible] = Reason.IMPOSSIBLE
    if equal and compared:
        note = "antenna and brightness temperatures are equal: no antenna correction"
    return (collected.astype(np.float32) if any_channel else None), lost, note


def _channel_numbers(
    kind: Instrument, codes: np.ndarray, matrix: np.ndarray, marks: np.ndarray
) -> tuple[np.ndarray, str]:
    """Read the channel numbers of a message.

    IASI's are believed as long as they increase: in messages of 2012 that ECMWF converted, numbers
    and radiances have changed places after 300 channels.

    Parameters
    ----------
    kind : Instrument
        The instrument.
    codes : np.ndarray
        Descriptors of the elements ``(element,)``.
    matrix : np.ndarray
        Their values ``(n, element)``.
    marks : np.ndarray
        Indices ``(group,)`` of the elements that begin a channel.

    Returns
    -------
    numbers : np.ndarray
        Channel numbers ``(n, group)`` from 1, NaN where they cannot be believed.
    note : str
        How many cannot be believed, or empty.
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
    """Convert IASI's scaled radiances to brightness temperatures.

    The head lists ranges of channels, each with the exponent of its scale: radiance = scaled value
    x 10^-exponent in W m-2 sr-1 (m-1)-1 (WMO-No. 306, 0-14-046); and, in some templates, quality
    flags of ranges. Channel n is at 645 + (n - 1) / 4 cm-1 (EUMETSAT IASI Level 1 Product Guide,
    EUM/OPS-EPS/MAN/04/0032).

    Parameters
    ----------
    scaled : np.ndarray
        Scaled radiances ``(n, channel)``.
    numbers : np.ndarray
        Numbers of the channels ``(channel,)``, from 1.
    head : np.ndarray
        Descriptors of the elements before the channels.
    matrix : np.ndarray
        Values ``(n, element)`` of all elements.

    Returns
    -------
    np.ndarray
        Brightness temperatures ``(n, channel)`` in K, NaN where flagged or without a scale.
    """
    exponents = np.full(scaled.shape, np.nan)
    bad = np.zeros(scaled.shape, bool)
    for i in range(len(head) - 2):
        if tuple(head[i : i + 2]) == _RANGE and head[i + 2] in (_EXPONENT, _FLAG):
            first, last, value = matrix[:, i : i + 3].T[:, :, None]
            inside = (numbers >= first) & (numbers <= last)
            if head[i + 2] == _EXPONENT:
                exponents = np.where(inside, value, exponents)
            else:
                bad |= inside & (value == 1)
    wavenumber = 64500.0 + 25.0 * (numbers - 1)  # m-1
    temperature = brightness_temperature(scaled * 10.0**-exponents, wavenumber)
    return np.where(bad, np.nan, temperature)


def _mean(values: np.ndarray) -> float:
    """Return the mean of the numbers that there are."""
    mean = values.mean()
    return np.nanmean(values) if np.isnan(mean) else mean


def positions_and_zeniths(
    kind: Instrument, number: np.ndarray, zenith: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Check scan positions and zenith angles against each other.

    Some producers count positions from 0: the count that suits the zenith angles better is
    believed. A conical scan whose messages give no angles has its nominal one.

    Parameters
    ----------
    kind : Instrument
        The instrument.
    number : np.ndarray
        Scan positions ``(n,)`` as the message counts them.
    zenith : np.ndarray
        Zenith angles ``(n,)`` in degrees, of either sign.

    Returns
    -------
    position : np.ndarray
        Scan positions ``(n,)`` from 1, 0 where missing.
    zenith : np.ndarray
        Zenith angles ``(n,)`` without sign, NaN where the position does not allow them.
    """
    if not kind.step:
        seen = np.full(len(zenith), kind.zenith) if np.isnan(zenith).all() else np.abs(zenith)
        misfits = {0: np.abs(seen - kind.zenith)}
    else:
        seen = np.abs(zenith)
        # a table, as many footprints share a position; its ends are outside the scan
        nominal = zenith_at(np.abs(kind.scan_angle(np.arange(kind.positions + 3))))
        from_minus_1 = np.append(nominal[0], nominal)
        if len(number) >= MANY:
            return _many_positions(kind, number, seen, from_minus_1)
        counted = np.where(np.isnan(number), -1.0, number).clip(-1, kind.positions + 1).astype(int)
        counted += 1
        misfits = {shift: np.abs(seen - from_minus_1[shift:].take(counted)) for shift in (0, 1)}
    typical = {
        shift: _mean(np.minimum(misfit, 2 * _TILT))
        for shift, misfit in misfits.items()
        if np.isfinite(misfit).any()
    }
    shift = min(typical, key=typical.get, default=0)
    position = number + shift
    with np.errstate(invalid="ignore"):
        placed = (position >= 1) & (position <= kind.positions)
        fits = (placed | (not kind.step)) & (misfits[shift] <= _TILT)
    return np.where(placed, position, 0).astype(np.int16), np.where(fits, seen, np.nan)


def _many_positions(
    kind: Instrument, number: np.ndarray, seen: np.ndarray, nominal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Do the same as :func:`positions_and_zeniths` for many footprints of a scan across the track.

    Parameters
    ----------
    kind, number
        See :func:`positions_and_zeniths`.
    seen : np.ndarray
        Zenith angles ``(n,)`` in degrees, without sign.
    nominal : np.ndarray
        Those of the positions from -1 on, NaN outside the scan.

    Returns
    -------
    tuple of np.ndarray
        Positions and zenith angles.
    """
    # numba takes half a second to load, which a reader of single messages need not wait for
    from fuxiflow.observations import scan_kernels

    number, seen = (np.ascontiguousarray(values, float) for values in (number, seen))
    counted_from_1, counted_from_0 = scan_kernels.misfits_of_counts(
        number, seen, nominal, 2 * _TILT
    )
    # false of NaN
    shift = int(
        counted_from_0 < counted_from_1 or np.isnan(counted_from_1) > np.isnan(counted_from_0)
    )
    return scan_kernels.placed_footprints(number, seen, nominal, shift, kind.positions, _TILT)
