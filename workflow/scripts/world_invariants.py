"""Write the world's surface geopotential and land-sea mask as ERA5 has them.

in:  truth       Zarr store of any segment of the nature run
out: invariants  directory with invariants.grib: GRIB1, parameters 129 and 172 of table 128
"""

from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.era5 import write_invariants


def main(input, output, params, log):
    """Copy the two fields."""
    truth = Truth([input.truth])
    output.invariants.mkdir(parents=True, exist_ok=True)
    write_invariants(
        output.invariants / "invariants.grib",
        truth.grid,
        truth.times[0],
        truth.static("surface_geopotential"),
        truth.static("land_fraction"),
    )
    seal_folder(output.invariants)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
