"""Channel selection of a hyperspectral sounder, by information content and by peaks of Jacobians.

FuXiWeather2 (arXiv 2603.15358) goes for IASI from the distributed channels to 124 by information
content, and to 38 by the heights at which their Jacobians peak. Both steps are algorithms over a
Jacobian table (:mod:`fuxiflow.observations.jacobians`).

Notes
-----
Step 1 is the sequential selection of Rodgers (1996, Proc. SPIE 2830, 136-147; 2000, Inverse Methods
for Atmospheric Sounding, World Scientific): with a channel's Jacobian k and noise s, the background
covariance B, and A the analysis covariance of the channels selected so far (B at first), a further
channel brings ::

    entropy reduction   1/2 log2(1 + k'Ak / s^2)                 bits
    degrees of freedom  k'A B^-1 Ak / (s^2 + k'Ak)

The channel that brings most is selected, then A becomes A - Ak (Ak)' / (s^2 + k'Ak). With several
profiles the mean over them decides: the "constant" selection of Rabier et al. (2002, QJRMS 128,
1011-1027). Noise is independent by channel.

Step 2: a channel peaks at the pressure where the size of k times the background's standard
deviation, per ln p and as a mean over profiles, is largest. The most informative channel is kept,
then always the one whose peak lies farthest, in ln p, from the nearest peak that is kept
(farthest-first traversal: Gonzalez 1985, Theor. Comput. Sci. 38, 293-306), of equally far ones the
more informative. The paper does not say how it spaces its peaks; so any number can be asked for.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.observations.jacobians import JacobianTable, read_jacobians
from fuxiflow.storage import provenance

CRITERIA = ("entropy", "freedom")
INFORMATIVE, SPACED = 124, 38  # FuXiWeather2, for IASI


@dataclass(frozen=True)
class Informative:
    """Channels in the order of their selection, with the information that each added.

    Attributes
    ----------
    index : np.ndarray
        Indices into the Jacobian table, ``(n,)``.
    entropy : np.ndarray
        Entropy reduction in bits, mean over profiles, ``(n,)``.
    freedom : np.ndarray
        Degrees of freedom for signal, mean over profiles, ``(n,)``.
    """

    index: np.ndarray
    entropy: np.ndarray
    freedom: np.ndarray


def _check_number(number: int, available: int, channels: str) -> None:
    """Check that a number of channels can be selected.

    Parameters
    ----------
    number : int
        Channels that are to be selected.
    available : int
        Channels to select from.
    channels : str
        Their description, for the message.

    Raises
    ------
    ValueError
        Where there are too few, or none is asked for.
    """
    if not 1 <= number <= available:
        raise ValueError(f"cannot select {number} {channels}: there are {available} to choose from")


def most_informative(
    table: JacobianTable,
    number: int,
    criterion: str = "entropy",
    candidates: np.ndarray | None = None,
) -> Informative:
    """Select channels one after the other, always the one that brings most information.

    Work grows as profiles x channels x state, for each channel selected.

    Parameters
    ----------
    table : JacobianTable
        Jacobians, noise and background covariance.
    number : int
        Channels that are selected.
    criterion : str
        ``entropy`` or ``freedom``; of equal channels the first is taken.
    candidates : np.ndarray, optional
        Indices into the table, by default all.

    Returns
    -------
    Informative
        The selected channels.

    Raises
    ------
    ValueError
        For an unknown criterion, or more channels than there are.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"unknown criterion {criterion!r}; known: {', '.join(CRITERIA)}")
    candidates = np.arange(len(table.channel)) if candidates is None else np.asarray(candidates)
    _check_number(number, len(candidates), "informative channels")
    # Whitened, k' = k L / s with B = L L': the background becomes the identity.
    rows = (
        table.jacobian[:, candidates]
        / table.noise[candidates, None]
        @ np.linalg.cholesky(table.background)
    )
    gain = rows.copy()  # A k' (profile, channel, state)
    free = np.ones(len(candidates), bool)
    selected, information = [], []
    for _ in range(number):
        signal = np.einsum("pcn,pcn->pc", rows, gain)
        entropy = (0.5 * np.log2(1 + signal)).mean(axis=0)
        freedom = (np.einsum("pcn,pcn->pc", gain, gain) / (1 + signal)).mean(axis=0)
        # argmax takes the first of equal ones.
        best = int(
            np.argmax(np.where(free, entropy if criterion == "entropy" else freedom, -np.inf))
        )
        free[best] = False
        selected.append(candidates[best])
        information.append((entropy[best], freedom[best]))
        # A shrinks by the outer product of this channel's gain.
        own = gain[:, best] / np.sqrt(1 + signal[:, best, None])
        gain -= np.einsum("pcn,pn->pc", rows, own)[:, :, None] * own[:, None, :]
    entropy, freedom = np.array(information).T
    return Informative(np.array(selected), entropy, freedom)


def scaled_sensitivities(table: JacobianTable) -> np.ndarray:
    """Return the sizes ``(channel, state)`` of Jacobians times the background's deviation, in K.

    They are means over profiles. A level stands for the ln p between the middles to its neighbours,
    and the sizes are per ln p, so that thick layers do not win by being thick. Those of variables
    of one level, as at the ground, are as they are.
    """
    deviation = np.sqrt(np.diag(table.background))
    sensitivity = np.abs(table.jacobian).mean(axis=0) * deviation
    for name in np.unique(table.variable):
        own = np.flatnonzero(table.variable == name)
        if len(own) > 1:
            sensitivity[:, own] /= np.abs(np.gradient(np.log(table.pressure[own])))
    return sensitivity


def peak_pressures(table: JacobianTable) -> np.ndarray:
    """Find the pressures ``(channel,)`` in hPa at which channels peak, in whatever variable."""
    return table.pressure[np.argmax(scaled_sensitivities(table), axis=1)]


def spaced_channels(peak: np.ndarray, number: int) -> np.ndarray:
    """Select channels whose peaks lie apart in ln p.

    Parameters
    ----------
    peak : np.ndarray
        Pressures of the peaks, ``(n,)``, the most informative channel first.
    number : int
        Channels that are selected.

    Returns
    -------
    np.ndarray
        Indices ``(number,)`` in the order of selection.

    Raises
    ------
    ValueError
        For more channels than there are.
    """
    _check_number(number, len(peak), "channels by their peaks")
    height = np.log(np.asarray(peak, float))
    selected = [0]
    distance = np.abs(height - height[0])
    # Below all distances: what is selected is not selected again.
    distance[0] = -1.0
    while len(selected) < number:
        selected.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.abs(height - height[selected[-1]]))
        distance[selected] = -1.0
    return np.array(selected)


def select_channels(
    table: JacobianTable,
    informative: int = INFORMATIVE,
    number: int = SPACED,
    criterion: str = "entropy",
    among: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Select channels by information content, then some of them by their peaks.

    Parameters
    ----------
    table : JacobianTable
        Jacobians, noise and background covariance.
    informative : int
        Channels that are selected by information content.
    number : int
        Channels of these that are selected by their peaks.
    criterion : str
        ``entropy`` or ``freedom``.
    among : Sequence[int], optional
        Numbers of the channels to select from, by default all of the table.

    Returns
    -------
    pd.DataFrame
        One row for each informative channel, in the order of their selection: ``channel``,
        ``wavenumber`` (cm-1), ``order`` (from 1), ``entropy`` (bits) and ``freedom`` that it added,
        ``peak`` (hPa), ``spaced`` (from 1 in the order of the second step, 0 where dropped).

    Raises
    ------
    ValueError
        Where ``among`` names channels that the table lacks, or for numbers that do not fit.
    """
    candidates = None
    if among is not None:
        lacking = sorted(set(among) - set(table.channel.tolist()))
        if lacking:
            raise ValueError(
                f"the Jacobian table lacks channels {', '.join(map(str, lacking[:10]))}"
                f"{' and more' if len(lacking) > 10 else ''}"
            )
        candidates = np.flatnonzero(np.isin(table.channel, list(among)))
    selection = most_informative(table, informative, criterion, candidates)
    peak = peak_pressures(table)[selection.index]
    rank = np.zeros(informative, int)
    rank[spaced_channels(peak, number)] = np.arange(1, number + 1)
    return pd.DataFrame(
        {
            "channel": table.channel[selection.index],
            "wavenumber": table.wavenumber[selection.index],
            "order": np.arange(1, informative + 1),
            "entropy": selection.entropy,
            "freedom": selection.freedom,
            "peak": peak,
            "spaced": rank,
        }
    )


def write_selection(path: Path, selected: pd.DataFrame, stamp: dict) -> None:
    """Write a selection as CSV, below one comment line with its provenance.

    Parameters
    ----------
    path : Path
        The CSV file.
    selected : pd.DataFrame
        A table of :func:`select_channels`.
    stamp : dict
        The provenance, see :mod:`fuxiflow.storage.provenance`.
    """
    text = selected.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    Path(path).write_text(
        f"# provenance: {json.dumps(stamp, sort_keys=True)}\n{text}", encoding="utf-8"
    )


def read_channel_list(path: Path) -> pd.DataFrame:
    """Read a list that :func:`write_selection` wrote, or any CSV with a column ``channel``.

    ValueError where there is no such column of whole numbers.
    """
    try:
        channels = pd.read_csv(path, comment="#")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file ({error})") from error
    if "channel" not in channels or not pd.api.types.is_integer_dtype(channels["channel"]):
        raise ValueError(f"{path}: has no column channel of whole numbers")
    return channels


def make_channel_list(
    table: Path,
    output: Path,
    informative: int = INFORMATIVE,
    number: int = SPACED,
    criterion: str = "entropy",
    among: Path | None = None,
    correlation_length: float = 0.0,
) -> pd.DataFrame:
    """Select channels of a Jacobian table on disk and write the list.

    Parameters
    ----------
    table : Path
        The Jacobian table, see :func:`fuxiflow.observations.jacobians.read_jacobians`.
    output : Path
        The CSV file that is written.
    informative, number, criterion
        As :func:`select_channels` takes them.
    among : Path, optional
        A CSV file with the channels to select from, by default all of the table.
    correlation_length : float
        Of background errors, in ln p, for a table with standard deviations alone.

    Returns
    -------
    pd.DataFrame
        The list, as :func:`select_channels` makes it.
    """
    candidates = None if among is None else read_channel_list(among)["channel"].tolist()
    selected = select_channels(
        read_jacobians(table, correlation_length), informative, number, criterion, candidates
    )
    settings = {
        "informative": informative,
        "spaced": number,
        "criterion": criterion,
        "correlation_length": correlation_length,
    }
    inputs = [Path(table)] if among is None else [Path(table), Path(among)]
    write_selection(output, selected, provenance.collect("select-channels", settings, inputs))
    return selected
