"""Each stage in a conda environment of its own, built from envs/*.yaml and a channel on
this disk.
"""

import os
import subprocess
import sys

import pytest

from tests.slurm import channel
from tests.slurm.launch import Launch, without_conda

pytestmark = pytest.mark.slow
RULES = ("figure_system", "verification_scores", "observations_statistics")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A search path with a `conda`, whose channel holds what this interpreter has."""
    programs = channel.build(tmp_path_factory.mktemp("conda"))
    return os.pathsep.join([str(programs), without_conda(os.environ["PATH"])])


def test_jobs_run_in_the_environment_of_their_stage(cluster, bench, path):
    for rule in RULES:
        script = bench.folder / f"workflow/scripts/{rule}.py"
        text = script.read_text()
        start = text.index("def main(")
        line = text.index("\n", start) + 1
        script.write_text(
            f'{text[:line]}    import sys\n    log.info("prefix %s", sys.prefix)\n{text[line:]}'
        )
    text = Launch(
        bench,
        "--allowed-rules",
        *RULES,
        "--forcerun",
        *RULES,
        "--",
        "results/test/figures/system.png",
        "results/test/scores/scores.parquet",
        "results/test/grids/noaa20_atms/statistics.zarr",
        path=path,
    ).finish()
    assert "Creating conda environment envs/figures.yaml" in text
    built = {}
    for rule in RULES:
        log = next((bench.folder / f"results/test/logs/{rule}").glob("*.log")).read_text()
        prefix = log.split("prefix ", 1)[1].split()[0]
        assert prefix.startswith(str(bench.folder / ".snakemake/conda")), rule
        built[rule] = prefix
    assert len(set(built.values())) == 3
    assert can_import(built["figure_system"], "matplotlib")
    assert not can_import(built["figure_system"], "torch")
    assert not can_import(built["observations_statistics"], "matplotlib")


def can_import(prefix, module):
    """Whether the interpreter of an environment can import a module."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return (
        subprocess.run(
            [f"{prefix}/bin/python", "-c", f"import {module}"],
            env=environment,
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )


def test_lock_files_are_explicit_and_make_the_same_environment(bench, path, tmp_path):
    environment = os.environ | {"PATH": path}
    words = [
        "make",
        "lock",
        "ENVIRONMENTS=envs/states.yaml envs/world.yaml",
        f"PYTHON={sys.executable}",
    ]
    done = subprocess.run(
        words, cwd=bench.folder, env=environment, check=True, capture_output=True, text=True
    )
    assert "envs/world.yaml: has packages of pip" in done.stdout
    listed = bench.folder / f"envs/states.{channel.PLATFORM}.pin.txt"
    lines = listed.read_text().splitlines()
    assert lines[0] == "@EXPLICIT"
    assert all(line.startswith("file://") and "#" in line for line in lines[1:])
    prefix = tmp_path / "again"
    subprocess.run(
        ["conda", "create", "--quiet", "--yes", "--file", str(listed), "--prefix", str(prefix)],
        check=True,
        env=environment,
    )
    assert can_import(prefix, "zarr")
    assert not can_import(prefix, "torch")
