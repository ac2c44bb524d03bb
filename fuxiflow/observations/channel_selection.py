"""Channel selection of a hyperspectral sounder: first what tells most about the atmosphere, then what peaks apart.

FuXiWeather2 (arXiv 2603.15358) goes for IASI from the distributed channels to 124 by information content, and to 38 by
the heights at which their Jacobians peak. Here both steps are algorithms over a given Jacobian table.

Step 1 is the sequential selection of Rodgers (1996, Proc. SPIE 2830, 136-147; 2000, Inverse Methods for Atmospheric
Sounding, World Scientific): with a channel's Jacobian k and noise s, the background covariance B, and A the analysis
covariance of the channels chosen so far (B at first), a further channel brings ::

    entropy reduction   1/2 log2(1 + k'Ak / s^2)                 bits
    degrees of freedom  k'A B^-1 Ak / (s^2 + k'Ak)

and the one that brings most is chosen, then A becomes A - Ak (Ak)' / (s^2 + k'Ak). With several profiles the mean over
them decides: the "constant" selection of Rabier et al. (2002, QJRMS 128, 1011-1027). Noise is independent by channel.

Step 2: a channel peaks at the pressure where the size of k times the background's standard deviation, per ln p and as a
mean over profiles, is largest. The most informative channel is kept, then always the one whose peak lies farthest, in
ln p, from the nearest peak that is kept (farthest-first traversal: Gonzalez 1985, Theor. Comput. Sci. 38, 293-306), of
equally far ones the more informative. How the paper spaces its peaks is not known; so any number can be asked for.
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
    """Channels in the order of their selection: ``index`` (n,) into the table, and what each added, as a mean over
    profiles: ``entropy`` (n,) in bits, ``freedom`` (n,) in degrees of freedom for signal."""

    index: np.ndarray
    entropy: np.ndarray
    freedom: np.ndarray


def _check(wanted: int, there: int, what: str) -> None:
    if not 1 <= wanted <= there:
        raise ValueError(f"cannot select {wanted} {what}: there are {there} to choose from")


def most_informative(
    table: JacobianTable,
    number: int,
    criterion: str = "entropy",
    candidates: np.ndarray | None = None,
) -> Informative:
    """Select ``number`` channels one after the other, of ``candidates`` (indices into the table, default all).

    ``criterion`` is ``entropy`` or ``freedom``; of equal channels the first is taken. Work grows as profiles x channels
    x state, for each channel selected. ValueError for an unknown criterion or more channels than there are.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"unknown criterion {criterion!r}; known: {', '.join(CRITERIA)}")
    candidates = np.arange(len(table.channel)) if candidates is None else np.asarray(candidates)
    _check(number, len(candidates), "informative channels")
    # whitened, k' = k L / s with B = L L': the background becomes the identity
    rows = (
        table.jacobian[:, candidates]
        / table.noise[candidates, None]
        @ np.linalg.cholesky(table.background)
    )
    gain = rows.copy()  # A k' (profile, channel, state)
    free = np.ones(len(candidates), bool)
    chosen, brought = [], []
    for _ in range(number):
        signal = np.einsum("pcn,pcn->pc", rows, gain)
        entropy = (0.5 * np.log2(1 + signal)).mean(axis=0)
        freedom = (np.einsum("pcn,pcn->pc", gain, gain) / (1 + signal)).mean(axis=0)
        best = int(
            np.argmax(np.where(free, entropy if criterion == "entropy" else freedom, -np.inf))
        )
        free[best] = False
        chosen.append(candidates[best])
        brought.append((entropy[best], freedom[best]))
        # A shrinks by the outer product of what this channel gained
        own = gain[:, best] / np.sqrt(1 + signal[:, best, None])
        gain -= np.einsum("pcn,pn->pc", rows, own)[:, :, None] * own[:, None, :]
    entropy, freedom = np.array(brought).T
    return Informative(np.array(chosen), entropy, freedom)


def peaks(table: JacobianTable) -> np.ndarray:
    """Pressures (channel,) in hPa at which channels peak, whatever variable they see there.

    A level stands for the ln p between the middles to its neighbours, so that thick layers do not win by being thick.
    """
    deviation = np.sqrt(np.diag(table.background))
    sensitivity = np.abs(table.jacobian).mean(axis=0) * deviation
    for name in np.unique(table.variable):
        own = np.flatnonzero(table.variable == name)
        if len(own) > 1:
            sensitivity[:, own] /= np.abs(np.gradient(np.log(table.pressure[own])))
    return table.pressure[np.argmax(sensitivity, axis=1)]


def spaced(peak: np.ndarray, number: int) -> np.ndarray:
    """Select ``number`` channels whose ``peak`` (n,) pressures lie apart in ln p; the most informative comes first in
    ``peak``. Returns indices (number,) in order of selection. ValueError for more channels than there are."""
    _check(number, len(peak), "channels by their peaks")
    height = np.log(np.asarray(peak, float))
    chosen = [0]
    distance = np.abs(height - height[0])
    distance[0] = -1.0
    while len(chosen) < number:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.abs(height - height[chosen[-1]]))
        distance[chosen] = -1.0
    return np.array(chosen)


def select(
    table: JacobianTable,
    informative: int = INFORMATIVE,
    number: int = SPACED,
    criterion: str = "entropy",
    among: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Both steps, of the channels ``among`` (numbers, default all of the table).

    One row for each informative channel, in the order of their selection: channel, wavenumber, order (from 1), entropy
    and freedom that it added, peak (hPa), spaced (from 1 in the order of the second step, 0 where dropped). ValueError
    when ``among`` names channels that the table lacks, or for numbers that do not fit.
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
    found = most_informative(table, informative, criterion, candidates)
    peak = peaks(table)[found.index]
    rank = np.zeros(informative, int)
    rank[spaced(peak, number)] = np.arange(1, number + 1)
    return pd.DataFrame(
        {
            "channel": table.channel[found.index],
            "wavenumber": table.wavenumber[found.index],
            "order": np.arange(1, informative + 1),
            "entropy": found.entropy,
            "freedom": found.freedom,
            "peak": peak,
            "spaced": rank,
        }
    )


def write_selection(path: Path, selected: pd.DataFrame, stamp: dict) -> None:
    """Write a selection as CSV, below one comment line with where it came from."""
    text = selected.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    Path(path).write_text(f"# provenance: {json.dumps(stamp, sort_keys=True)}\n{text}")


def read_channel_list(path: Path) -> pd.DataFrame:
    """A list of channels that :func:`write` wrote, or any CSV with a column ``channel``; ValueError without."""
    try:
        found = pd.read_csv(path, comment="#")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file ({error})") from error
    if "channel" not in found or not pd.api.types.is_integer_dtype(found["channel"]):
        raise ValueError(f"{path}: has no column channel of whole numbers")
    return found


def run(
    table: Path,
    output: Path,
    informative: int = INFORMATIVE,
    number: int = SPACED,
    criterion: str = "entropy",
    among: Path | None = None,
    correlation_length: float = 0.0,
) -> pd.DataFrame:
    """Select channels of the Jacobian table at ``table``, of those listed in the file ``among`` where given, and write
    the list to ``output``; see :func:`select` and :func:`fuxiflow.observations.jacobians.read_jacobians` for the rest."""
    chosen = None if among is None else read_channel_list(among)["channel"].tolist()
    selected = select(
        read_jacobians(table, correlation_length), informative, number, criterion, chosen
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
