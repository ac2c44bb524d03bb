"""Download ERA5 of one segment from the Climate Data Store.

in:  nothing
out: raw  directory of GRIB1 files, manifest.json, provenance.json
"""

from datetime import date
from pathlib import Path

from fuxiflow import channels
from fuxiflow.archive import era5
from fuxiflow.archive.transfer import download_segment


def main(input, output, params, log):
    first, last = map(date.fromisoformat, params.dates)
    store = era5.client(log)
    wanted = era5.requests_of(channels.channel_table(), first, last, params.days_per_request)
    tasks = [era5.era5_task(store, *request) for request in wanted]
    # one after the other: the store queues a user's requests anyway
    download_segment(
        tasks, Path(params.partial), output.raw, log, f"ERA5 {first} to {last}", workers=1
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
