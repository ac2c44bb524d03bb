"""Lookups of the rules of the observations stage: segments, readers, gridding."""

from functools import cache

from fuxiflow.config import denials
from fuxiflow.observations import readers


def observations_segments():
    """Return the segments that are observed: in training or in the cycle, never both."""
    return [
        segment
        for period in (CONFIG.periods.observations, CONFIG.cycling_period)
        for segment in CONFIG.segments(period)
    ]


def observations_dates(wildcards):
    """Return the first and last observed day of a segment."""
    return dates(CONFIG.observed_period(wildcards.segment), wildcards.segment)


def observations_denials(wildcards):
    """Return the channels of a source that had died in a segment; none of the embedded world."""
    if CONFIG.synthetic:
        return []
    period = CONFIG.observed_period(wildcards.segment)
    days = CONFIG.clip(wildcards.segment, period)
    return denials.denials_of(sources.load_source(wildcards.source), *days)


def observations_withheld(wildcards):
    """Return what verification alone reads of a source, None where all is assimilated."""
    withheld = CONFIG.verification.withheld.get(wildcards.source)
    return withheld.model_dump(mode="json") if withheld else None


def observations_completeness(wildcards):
    """Return the days on which a source was there, and the least shares of days, files and windows."""
    period = CONFIG.observed_period(wildcards.segment)
    within = CONFIG.clip(wildcards.segment, period)
    days = CONFIG.flown(wildcards.source, *within)
    platforms = CONFIG.platforms_flown(wildcards.source, *within)
    return SimpleNamespace(
        expected=[str(day) for day in days or ()],
        platforms={name: [str(day) for day in span] for name, span in platforms.items()},
        days=SimpleNamespace(**CONFIG.completeness.asked_of(wildcards.source)),
        files=completeness("files"),
        windows=completeness("windows"),
    )


# a source has as many jobs as segments
@cache
def observations_code(reader):
    """Return the fingerprint of a reader."""
    return fingerprint(readers.module_file(reader))


def observations_reader_code(wildcards):
    """Return the fingerprint of the reader of a source: an edit of another one does not count."""
    return observations_code(sources.load_source(wildcards.source).reader)


def observations_grid_options(wildcards):
    """Return how footprints become cells, see fuxiflow.observations.gridding.GriddingOptions."""
    source = sources.load_source(wildcards.source)
    return {
        "platforms": source.platform_names,
        "method": source.gridding.method,
        "merged": source.gridding.platforms == "merged",
        "frame": source.frame,
    }
