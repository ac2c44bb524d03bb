"""What the rules of the observations stage look up: the files that describe sources, and their readers."""

from fuxiflow import sources
from fuxiflow.observations import readers


def observations_reader_code(wildcards):
    """The fingerprint of a source's reader: an edit of another one does not concern it."""
    return fingerprint(readers.module_file(sources.load(wildcards.source).reader))


def observations_grid_options(wildcards):
    """How the footprints of a source become cells, see fuxiflow.observations.gridding.Options."""
    source = sources.load(wildcards.source)
    return {
        "platforms": source.platform_names,
        "method": source.gridding.method,
        "merged": source.gridding.platforms == "merged",
        "frame": source.frame,
    }
