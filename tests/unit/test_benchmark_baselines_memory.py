"""The benchmark of memory scores what the rule scores."""

import subprocess
import sys

from benchmarks import baselines_memory as benchmark
from fuxiflow import ROOT
from fuxiflow.grids import Grid
from fuxiflow.verification.cases import StoredCases


def test_all_systems_of_the_rule_are_scored(tmp_path):
    grid = Grid(32, 64)
    benchmark.write_inputs(tmp_path, [6, 12], grid)
    benchmark.score_inputs(tmp_path, [6, 12], grid)
    cases = StoredCases(tmp_path / "cases.zarr")
    assert set(cases) == {
        ("gfs", "era5"),
        ("gfs", "truth"),
        ("gfs", "own"),
        ("climatology", "era5"),
        ("climatology", "truth"),
        ("gfs_analysis", "era5"),
        ("gfs_analysis", "truth"),
        ("era5_analysis", "truth"),
    }
    assert cases["gfs", "era5"].leads == [6, 12]


def test_what_is_there_is_taken_again(tmp_path):
    grid = Grid(32, 64)
    benchmark.write_inputs(tmp_path, [6], grid)
    written = (tmp_path / "states.zarr").stat().st_mtime_ns
    benchmark.write_inputs(tmp_path, [6], grid)
    assert (tmp_path / "states.zarr").stat().st_mtime_ns == written


def test_no_library_that_the_rule_does_not_import_counts():
    code = "import benchmarks.baselines_memory, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
