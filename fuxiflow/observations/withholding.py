"""Withheld footprints: those that verification alone reads, chosen by station or by platform.

A station is withheld or not by a hash of its name alone: for ever, on every machine, in every
source and with every seed. What it reports under the same name to several sources, as a site of
SYNOP and TEMP does, is withheld from all that have the share.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

SALT = "fuxiflow withheld station "
"""Begins what is hashed, so that no other draw by names is like this one."""
WIGOS = "0-20000-0-"
"""Begins the identifier that WIGOS gives to stations of WMO's list: the number follows."""


def station_position(station: str) -> float:
    """Return the place of a station's name between 0 and 1, where a share's threshold falls.

    Case, blanks at the ends and WIGOS's form of a WMO number change nothing.
    """
    name = station.strip().upper().removeprefix(WIGOS)
    digest = hashlib.blake2b(f"{SALT}{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def is_withheld(station: str, share: float) -> bool:
    """Say whether a station is among the ``share`` of stations that are withheld.

    One that is withheld stays so as the share grows. Reports without a name never are: they may
    come from anybody.
    """
    return bool(station.strip()) and station_position(station) < share


def withheld_footprints(footprints: pa.Table, withheld: Mapping | None) -> np.ndarray:
    """Mark the footprints that are withheld.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows.
    withheld : Mapping or None
        ``share`` of the stations, and names of ``platforms``; None for none.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool.
    """
    if not withheld:
        return np.zeros(len(footprints), bool)
    share = withheld["share"]
    by_platform = _marked(footprints, "platform", withheld["platforms"])
    stations = footprints["station"].unify_dictionaries().to_pandas().cat
    drawn = [name for name in stations.categories if is_withheld(name, share)] if share else []
    return by_platform | _marked(footprints, "station", drawn)


def _marked(footprints: pa.Table, column: str, names: Sequence[str]) -> np.ndarray:
    """Mark the footprints of some names.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows.
    column : str
        The column of texts: ``station`` or ``platform``.
    names : Sequence[str]
        The texts.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool.
    """
    texts = footprints[column].unify_dictionaries().to_pandas().cat
    # the last one is for null
    return np.append(texts.categories.isin(names), False)[texts.codes]
