"""Decode one segment of a reference's files to states on the networks' grid.

in:  raw     directory of files, as the archive delivers them, or the receipt of some: GRIB, of ERA5
             also NetCDF-4 with the fields of public Zarr stores
out: states  Zarr, one state each 6 hours of the period, missing ones marked (fuxiflow.states.store)
     ledger  Parquet, what could not be used and why (fuxiflow.states.assembly)
"""

from datetime import date

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Assembler, Ledger, nothing_usable
from fuxiflow.states.decoding import decode_analyses, list_grib_files
from fuxiflow.states.grib_messages import GribError
from fuxiflow.states.netcdf_fields import FieldReader
from fuxiflow.states.store import StateWriter
from fuxiflow.storage.raw_files import unverified_remark


def main(input, output, params, log):
    analysis_times = times.times(*map(date.fromisoformat, params.dates))
    grid = Grid(**params.grid)
    ledger = Ledger()
    if remark := unverified_remark(input.raw):
        ledger.note(remark, input.raw)
    paths = list_grib_files(input.raw, analyses_only=True)
    assembler = Assembler(FieldReader(channel_table(), params.reference, grid), grid, ledger)
    # a GFS analysis holds no precipitation: its slot stays NaN
    states = decode_analyses(
        assembler, paths, analysis_times, precipitation=params.reference != "gfs"
    )
    states = progress(states, f"decode {params.reference}", log, total=len(analysis_times))
    missing = []
    options = {"attrs": {"reference": params.reference}, "compression": params.compression}
    with StateWriter(output.states, analysis_times, channel_table(), grid, **options) as writer:
        for index, state in enumerate(states):
            writer.write(index, state)
            if state is None:
                missing.append(analysis_times[index])
        writer.set_attribute("versions", ledger.spans_of_versions())
    usable = len(analysis_times) - len(missing)
    ledger.report(log, f"{usable} of {len(analysis_times)} times usable")
    if not usable:
        purpose = f"{params.reference} from {params.dates[0]} to {params.dates[1]}"
        raise GribError(nothing_usable(input.raw, paths, purpose, ledger))
    check_share(
        params.completeness,
        usable,
        len(analysis_times),
        f"times of {input.raw} have a whole state ({ledger.first_reasons() or 'all do'})",
        list_times(missing),
        log,
    )
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
