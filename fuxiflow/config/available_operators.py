"""What there are observation operators for; for planning, so it imports nothing heavy."""

from fuxiflow import ROOT
from fuxiflow.config.sources import Source


def instruments() -> list[str]:
    """Radiometers that there are coefficients of."""
    return sorted(path.stem for path in (ROOT / "resources" / "operators").glob("*.npz"))


def computable(source: Source) -> bool:
    """Whether what a source measures can be computed from a state: quantities of reports and profiles always, radiances
    with the coefficients of their instrument."""
    return source.instrument in instruments() or not any(
        channel.radiance for channel in source.channels
    )
