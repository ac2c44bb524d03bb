"""What there are observation operators for; for planning, so it imports nothing heavy."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from fuxiflow import ROOT
from fuxiflow.config.base import Period, Positive, Section
from fuxiflow.config.sources import Source

OPERATORS = ROOT / "resources" / "operators"
"""Where the coefficients of the observation operators lie, a file an instrument."""


def instruments_with_operator() -> list[str]:
    """Radiometers that there are coefficients of."""
    return sorted(path.stem for path in OPERATORS.glob("*.npz"))


def coefficient_files(sources: Iterable[Source]) -> dict[str, Path]:
    """Return by instrument the files of operator coefficients that sources need, if any."""
    instruments = {source.instrument for source in sources} & {*instruments_with_operator()}
    return {name: OPERATORS / f"{name}.npz" for name in sorted(instruments)}


def has_operator(source: Source) -> bool:
    """Whether what a source measures can be computed from a state: quantities of reports and profiles always, radiances
    with the coefficients of their instrument."""
    return source.instrument in instruments_with_operator() or not any(
        channel.radiance for channel in source.channels
    )


class SimulatedSource(Section):
    """Observations of a source that are simulated over ``period`` from the reanalysis, like the real ones of the days
    of ``template``, whose departures give their errors.

    ``geometry``: the footprints of the template, day by day (``template``) or hour by hour from days drawn at random
    (``drawn``), or those of the platforms' ``orbits``, every so-manieth scan and field of view.
    """

    period: Period
    template: Period
    geometry: Literal["template", "drawn", "orbits"] = "template"
    scan_stride: Positive = 1
    field_of_view_stride: Positive = 1
