"""Simulated observations for training, and the sources that have an observation operator.

Imports nothing heavy, as planning needs it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from fuxiflow import ROOT
from fuxiflow.config.base import Period, Positive, Section
from fuxiflow.config.sources import Source

OPERATORS = ROOT / "resources" / "operators"
"""Folder of the coefficients of the observation operators, a file for each instrument."""


ABSORPTION = "R19"
"""Absorption model of the assimilation's coefficients; those of others lie in folders of theirs."""


class SimulatedSource(Section):
    """Observations of a source that are simulated from the reanalysis, for training alone."""

    period: Period
    """Days that are simulated, inside ``periods.observations``."""
    template: Period
    """Days whose real departures give the errors, inside ``periods.observations``."""
    geometry: Literal["template", "drawn", "orbits"] = "template"
    """Places of the observations: the template's, drawn from it by the hour, or on orbits.

    ``template`` takes the footprints of the same date, or of the template's days in turn. ``drawn``
    takes each hour from a random day of the template. ``orbits`` scans from the platforms."""
    scan_stride: Positive = 1
    """Thinning of ``orbits``: scans from one that is kept to the next."""
    field_of_view_stride: Positive = 1
    """Thinning of ``orbits``: fields of view of a scan from one that is kept to the next."""


def instruments_with_operator() -> list[str]:
    """Return the radiometers that there are coefficients of."""
    return sorted(path.stem for path in OPERATORS.glob("*.npz"))


def coefficient_file(instrument: str, absorption: str = ABSORPTION) -> Path:
    """Return the file of an instrument's coefficients of an absorption model."""
    folder = OPERATORS if absorption == ABSORPTION else OPERATORS / absorption
    return folder / f"{instrument}.npz"


def coefficient_files(sources: Iterable[Source], absorption: str = ABSORPTION) -> dict[str, Path]:
    """Return by instrument the files of operator coefficients that sources need, if any."""
    instruments = {source.instrument for source in sources} & {*instruments_with_operator()}
    return {name: coefficient_file(name, absorption) for name in sorted(instruments)}


def has_operator(source: Source) -> bool:
    """Return whether a state gives what a source measures.

    It does for quantities of reports and profiles, and for radiances of instruments that have
    coefficients.
    """
    return source.instrument in instruments_with_operator() or not any(
        channel.radiance for channel in source.channels
    )
