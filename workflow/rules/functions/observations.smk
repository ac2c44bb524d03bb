"""What the rules of the observations stage look up: the files that describe sources, and their readers."""

from functools import cache

from fuxiflow.config import sources
from fuxiflow.observations import readers


# a source has as many jobs as segments
@cache
def observations_code(reader):
    """The fingerprint of a reader."""
    return fingerprint(readers.module_file(reader))


def observations_reader_code(wildcards):
    """The fingerprint of a source's reader: an edit of another one does not concern it."""
    return observations_code(sources.load_source(wildcards.source).reader)


def observations_grid_options(wildcards):
    """How the footprints of a source become cells, see fuxiflow.observations.gridding.GriddingOptions."""
    source = sources.load_source(wildcards.source)
    return {
        "platforms": source.platform_names,
        "method": source.gridding.method,
        "merged": source.gridding.platforms == "merged",
        "frame": source.frame,
    }
