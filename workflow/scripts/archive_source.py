"""Download the level-1 granules of one source and segment from a public bucket.

in:  nothing
out: raw  directory of the agency's files, manifest.json, provenance.json
"""

from datetime import date
from pathlib import Path

import requests

from fuxiflow.archive.granules import granule_downloads
from fuxiflow.archive.transfer import download_segment
from fuxiflow.config.archives import GranuleArchive


def main(input, output, params, log):
    first, last = map(date.fromisoformat, params.dates)
    with requests.Session() as session:
        downloads = list(granule_downloads(session, GranuleArchive(**params.archive), first, last))
    label = f"{params.source} {first} to {last}"
    download_segment(downloads, Path(params.partial), output.raw, log, label, params.workers)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
