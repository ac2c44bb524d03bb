"""Download the channels of GFS analyses and forecasts of one segment from a public bucket.

in:  nothing
out: raw  directory of GRIB2 files in the bucket's layout, manifest.json, provenance.json
"""

from datetime import date
from pathlib import Path

from fuxiflow.archive.gfs import gfs_download, segment_files
from fuxiflow.archive.transfer import download_segment
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import GfsArchive


def main(input, output, params, log):
    first, last = map(date.fromisoformat, params.dates)
    forecast_days = tuple(map(date.fromisoformat, params.forecast_dates)) or None
    files = segment_files(first, last, forecast_days, params.init_hours, params.max_lead_hours)
    archive = GfsArchive(**params.archive)
    downloads = [gfs_download(archive, channel_table(), init, lead) for init, lead in files]
    label = f"GFS {first} to {last}"
    download_segment(downloads, Path(params.partial), output.raw, log, label, params.workers)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
