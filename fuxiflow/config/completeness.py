"""The least shares of their data that jobs must find."""

from fuxiflow.config.base import Fraction, Section


class Completeness(Section):
    """The least shares of their data that jobs must find: with less they fail.

    The message says what is missing and which key to lower. What is missing above a share is a
    warning, on the status page and in the report. Another share makes nothing run again, but a
    product that was made with less than is asked for now is refused at the next start.
    """

    states: Fraction = 0.9
    """Share of a segment's times at which a reference, ERA5 or GFS, has a whole state."""
    observations: Fraction = 0.5
    """Share of a segment's days on which a source has data; days before or after it flew apart."""
    sources: dict[str, Fraction] = {}
    """By source, another share of days than ``observations``; 0 lets a segment be empty."""
    files: Fraction = 0.9
    """Share of a source's files in a segment that can be read; superseded ones do not count."""
    windows: Fraction = 0
    """Share of the 6-hour windows of a source's platforms with at least half of what is usual."""
    forecasts: Fraction = 0.9
    """Share of a segment's initial and lead times that have a forecast, of GFS or of others."""
    analyses: Fraction = 0.5
    """Share of a segment's analyses with an observation in their windows; with sources alone."""
    cases: Fraction = 0.9
    """Share of the cases of a score that have both the field and its reference."""

    def asked(self, name: str) -> dict[str, str | float]:
        """Return a setting and its value, as :class:`fuxiflow.completeness.Asked` has them."""
        return {"setting": f"completeness.{name}", "least": getattr(self, name)}

    def least(self, setting: str) -> float:
        """Return the value of a setting by its dotted name, as a message has it."""
        key = setting.removeprefix("completeness.")
        if key.startswith("sources."):
            return self.asked_of(key.removeprefix("sources."))["least"]
        return getattr(self, key)

    def asked_of(self, source: str) -> dict[str, str | float]:
        """Return the setting that says how many days of a source there must be, and its value."""
        if source in self.sources:
            return {
                "setting": f"completeness.sources.{source}",
                "least": self.sources[source],
            }
        return self.asked("observations")
