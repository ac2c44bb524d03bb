"""Write one segment of the world's ERA5 in the files of the Climate Data Store.

Its analyses are the truth with error and with a bias near the ground.

in:  truth   Zarr, the segment's truth
     errors  Zarr, library of error patterns
out: era5    directory with pressure_levels.grib and single_levels.grib
"""

from datetime import date

from fuxiflow.channels import channel_table
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.times import times
from fuxiflow.world.analysis_errors import AnalysisErrors, ErrorLibrary
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.era5 import Era5Writer


def main(input, output, params, log):
    """Write every 6 h of ``params.dates``; precipitation carries no error."""
    truth = Truth([input.truth])
    library = ErrorLibrary(input.errors)
    errors = AnalysisErrors(**params.errors)
    land = truth.static("land_fraction")
    names = channel_table().names
    analysis_times = times(*map(date.fromisoformat, params.dates))
    with Era5Writer(output.era5, truth.grid) as writer:
        for time in progress(analysis_times, "ERA5 times", log):
            pattern = library.fields("era5", time)
            fields = errors.analysed(truth.read(time, names), pattern, time, land, truth.grid.lon)
            writer.write(time, fields)
    seal_folder(output.era5)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
