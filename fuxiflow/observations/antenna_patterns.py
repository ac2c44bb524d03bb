"""Correct antenna temperatures for the antenna's side lobes, by published pattern coefficients.

T_A = (A_earth + A_platform) T_B + A_space T_c: what reaches the antenna from the scene T_B, from
the platform, taken for as warm as the scene, and from space, T_c = 2.7253 K. The coefficients by
channel and scan position are in files ``*.ACCoeff.nc`` (CRTM's format; those of AMSU-A, by T. Mo of
NESDIS, are in NOAA-EMC/spoc, ``dump/aux``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES
from fuxiflow.observations.footprint_table import column_values

COSMIC_BACKGROUND = 2.7253
"""K."""
_CHANNELS, _POSITIONS = "n_Channels", "n_FOVs"
_GAIN = (0.5, 1.01)  # parts of the view that the earth and the platform can have


@dataclass(frozen=True)
class AntennaPattern:
    """The antenna of one instrument on one platform.

    ``channels`` are names; ``gain`` is A_earth + A_platform and ``space`` A_space, both
    ``(channel, position)``. ``file`` names where they are from.
    """

    file: str
    channels: tuple[str, ...]
    gain: np.ndarray
    space: np.ndarray


def read_antenna_pattern(path: Path) -> tuple[str, AntennaPattern]:
    """Read a file ``*.ACCoeff.nc``: the name of its platform, and its coefficients.

    ValueError names the file and what it lacks.
    """
    import netCDF4  # loaded where there is such a file alone

    try:
        with netCDF4.Dataset(path) as file:
            satellite = int(file.WMO_Satellite_Id)
            channels = tuple(str(int(number)) for number in file["Sensor_Channel"][:])
            parts = {}
            for name in ("A_earth", "A_space", "A_platform"):
                values = np.ma.filled(file[name][:].astype(float), np.nan)
                turned = file[name].dimensions == (_POSITIONS, _CHANNELS)
                parts[name] = values.T if turned else values
    except (OSError, LookupError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: no coefficients of an antenna ({type(error).__name__}: {error}); bring the "
            "file again, or take it away"
        ) from error
    gain, space = parts["A_earth"] + parts["A_platform"], parts["A_space"]
    if len(gain) != len(channels) or not ((gain >= _GAIN[0]) & (gain <= _GAIN[1])).all():
        raise ValueError(
            f"{path}: its coefficients {gain.shape} are not those of {len(channels)} channels"
        )
    if satellite not in BUFR_SATELLITES:
        raise ValueError(f"{path}: WMO_Satellite_Id {satellite} is no satellite that is known")
    return BUFR_SATELLITES[satellite], AntennaPattern(path.name, channels, gain, space)


def read_antenna_patterns(paths: Iterable[Path]) -> dict[str, AntennaPattern]:
    """Read files ``*.ACCoeff.nc`` of one instrument, by platform; ValueError where two are of one.

    See :func:`read_antenna_pattern`.
    """
    patterns: dict[str, AntennaPattern] = {}
    for path in sorted(map(Path, paths)):
        platform, pattern = read_antenna_pattern(path)
        if platform in patterns:
            raise ValueError(
                f"{path}: of {platform}, as {patterns[platform].file} is: keep one of the two"
            )
        patterns[platform] = pattern
    return patterns


def corrected_for_antenna(
    footprints: pa.Table, patterns: dict[str, AntennaPattern]
) -> tuple[pa.Table, str]:
    """Turn antenna temperatures into brightness temperatures.

    Parameters
    ----------
    footprints : pa.Table
        Footprints of one platform, n rows.
    patterns : dict
        Coefficients by platform.

    Returns
    -------
    footprints : pa.Table
        The same with brightness temperatures in K; NaN where there is no scan position.
    file : str
        Name of the file of the coefficients.

    Raises
    ------
    ValueError
        When there are no coefficients of the platform or of a channel.
    """
    platform = footprints["platform"][0].as_py()
    if platform not in patterns:
        raise ValueError(
            f"antenna_patterns: no file of {platform}, only of {', '.join(patterns) or 'nothing'}; "
            "bring its *.ACCoeff.nc, or leave the platform out of the source"
        )
    pattern = patterns[platform]
    channels = footprint_table.channels_of(footprints)
    if unknown := [name for name in channels if name not in pattern.channels]:
        raise ValueError(f"{pattern.file}: no coefficients of channel {', '.join(unknown)}")
    places = [pattern.channels.index(name) for name in channels]
    position = column_values(footprints, "scan_position").astype(int) - 1
    inside = (position >= 0) & (position < pattern.gain.shape[1])
    position = np.where(inside, position, 0)
    antenna = footprint_table.values_of(footprints)
    gain, space = (part[places][:, position].T for part in (pattern.gain, pattern.space))
    scene = (antenna - space * COSMIC_BACKGROUND) / gain
    scene = np.where(inside[:, None], scene, np.nan).astype(np.float32)
    rejected = column_values(footprints, "rejected")
    return footprint_table.replace_values(footprints, scene, rejected), pattern.file
