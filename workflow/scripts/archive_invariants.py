"""Download the fields of ERA5 that do not change: terrain, land, lakes, vegetation.

in:  nothing
out: raw  GRIB1 file
"""

import requests

from fuxiflow.archive import era5


def main(input, output, params, log):
    with requests.Session() as session:
        era5.retrieve(era5.client(log), era5.SINGLE, era5.invariants_request(), session, output.raw)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
