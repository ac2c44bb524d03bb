"""Days on which a source of the embedded world observes: fixed by the configuration."""

from collections.abc import Mapping
from datetime import date


def observed(day: date, options: Mapping) -> bool:
    """Whether a source observes on a day: from ``start`` to ``end``, where ``options`` give them, but for the
    ``outages`` ``{start, end}``, all days included."""

    def inside(start, end) -> bool:
        low, high = (
            None if text is None else date.fromisoformat(str(text)) for text in (start, end)
        )
        return (low is None or low <= day) and (high is None or day <= high)

    return inside(options.get("start"), options.get("end")) and not any(
        inside(outage["start"], outage["end"]) for outage in options["outages"]
    )
