"""What the rules of the observations stage look up: the files that describe sources, and their readers."""

from fuxiflow import sources
from fuxiflow.observations import readers


def observations_reader_code(wildcards):
    """The fingerprint of a source's reader: an edit of another one does not concern it."""
    return fingerprint(readers.module_file(sources.load(wildcards.source).reader))
