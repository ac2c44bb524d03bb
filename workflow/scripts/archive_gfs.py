"""Download the channels of GFS analyses and forecasts of one segment, by byte ranges, from a public bucket.

in:  nothing
out: raw  directory of GRIB2 files in the bucket's layout, manifest.json, provenance.json
"""

from datetime import date
from pathlib import Path

from fuxiflow import channels
from fuxiflow.archive import gfs
from fuxiflow.archive.transfer import download_segment


def main(input, output, params, log):
    first, last = map(date.fromisoformat, params.dates)
    days = tuple(map(date.fromisoformat, params.forecast_dates)) or None
    tasks = [
        gfs.gfs_task(
            params.archive["url"],
            params.archive["resolution"],
            channels.channel_table(),
            init,
            lead,
        )
        for init, lead in gfs.segment_files(
            first, last, days, params.init_hours, params.max_lead_hours
        )
    ]
    download_segment(
        tasks, Path(params.partial), output.raw, log, f"GFS {first} to {last}", params.workers
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
