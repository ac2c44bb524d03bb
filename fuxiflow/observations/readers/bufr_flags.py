"""What the producers' quality flags in BUFR messages of sounders say: which footprints and channels not to use.

Flag tables: WMO-No. 306, Volume I.2, Part C, 0-33-030, 031 and 033 (ATOVS), 0-33-078, 080 and 081 (ATMS). Bit 1 is the
first one of an element, the most significant. The channels' flags of ATOVS (0-33-032) are left alone: real messages of
Metop-A have "no good blackbody counts" on channels of AMSU-A whose temperatures are as good as their neighbours'.
"""

from collections.abc import Callable

import numpy as np

# element: its width, and the bits of which one is enough
_FOOTPRINT = {
    33030: (24, (1, 2, 4, 5)),  # do not use; time sequence error; no calibration; no earth location
    # bad time; not calibrated for time, thermometers or mode; not located for time; place not reasonable
    33031: (24, (2, 5, 7, 10, 13, 16)),
    33033: (24, (22,)),  # all channels missing
    33080: (20, (14, 18, 19)),
}  # time sequence error; antenna position wrong in space or black-body view
_CHANNEL = {33081: (12, (4, 6, 7))}  # gain error; too few space views; too few black-body views
_VIEW = 33033  # its bit n: the temperature of channel n - 1, up to 20, is unreasonable or was not computed
_GEOLOCATION, _NO_EPHEMERIS = 33078, 3  # more than a granule of attitude and ephemeris is missing


def bits(values: np.ndarray, width: int, numbers: tuple[int, ...]) -> np.ndarray:
    """Where (n,) an element of ``width`` bits has one of the bits ``numbers`` set; not where it is missing (NaN)."""
    wanted = sum(1 << (width - number) for number in numbers)
    return (np.nan_to_num(values, nan=0).astype(np.int64) & wanted) != 0


def unusable(column: Callable[[int], np.ndarray]) -> np.ndarray:
    """Footprints (n,) that are flagged as a whole; ``column`` gives the values (n,) of an element of the head, NaN
    where there is none."""
    found = column(_GEOLOCATION) == _NO_EPHEMERIS
    for code, (width, numbers) in _FOOTPRINT.items():
        found = found | bits(column(code), width, numbers)
    return found


def bad_channel(
    column: Callable[[int], np.ndarray], group: dict[int, np.ndarray], number: np.ndarray
) -> np.ndarray:
    """Footprints (n,) whose flags, in the head or in the channel's ``group``, say that it has no temperature.

    ``number`` (n,) is the channel's from 1, NaN where it cannot be known.
    """
    found = np.zeros(len(number), bool)
    for code, (width, numbers) in _CHANNEL.items():
        if code in group:
            found |= bits(group[code], width, numbers)
    view = column(_VIEW)
    if np.isnan(view).all():
        return found
    view = np.nan_to_num(view, nan=0).astype(np.int64)
    shift = np.where((number >= 1) & (number <= 20), 24 - 1 - number, 0).astype(np.int64)
    return found | ((shift > 0) & (view >> shift & 1 == 1))
