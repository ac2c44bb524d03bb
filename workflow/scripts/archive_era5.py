"""Download ERA5 of one segment from the Climate Data Store.

in:  nothing
out: raw  directory of GRIB1 files, manifest.json, provenance.json
"""

from datetime import date
from pathlib import Path

from fuxiflow.archive import era5
from fuxiflow.archive.transfer import download_segment
from fuxiflow.channels import channel_table


def main(input, output, params, log):
    first, last = map(date.fromisoformat, params.dates)
    store = era5.client(log)
    requests = era5.requests_of(channel_table(), first, last, params.days_per_request)
    downloads = [era5.era5_download(store, *request) for request in requests]
    label = f"ERA5 {first} to {last}"
    # one after the other: the store queues a user's requests anyway
    download_segment(downloads, Path(params.partial), output.raw, log, label, workers=1)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
