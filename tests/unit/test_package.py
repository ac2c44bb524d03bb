"""An installed wheel works in any folder; a checkout's own files win over its copies."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from itertools import chain

import pytest
import yaml

from fuxiflow import ROOT, __version__, project_folder

pytestmark = pytest.mark.skipif(
    find_spec("setuptools") is None, reason="setuptools, which builds the wheel, is not installed"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the repository, as building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("fuxiflow", "config", "resources"):
        ignored = shutil.ignore_patterns("__pycache__", "archive" if name == "resources" else "")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    (path,) = folder.glob("fuxiflow-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that the wheel is installed in, and nothing of the checkout."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(wheel)], check=True)
    return site


def run(installed, folder, *words):
    """Run the console script in a folder, with the dependencies of the tests."""
    return subprocess.run(
        [str(installed / "bin" / "fuxiflow"), *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_the_list_of_packages_is_complete():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = {name for name in settings["packages"] if not name.startswith("fuxiflow.data.")}
    modules = {path.parent for path in (ROOT / "fuxiflow").rglob("*.py")}
    assert listed == {".".join(folder.relative_to(ROOT).parts) for folder in modules}


def test_all_that_the_package_imports_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {normalised(re.match(r"[\w.-]+", line)[0]) for line in required}
    distributions = packages_distributions()
    for path in (ROOT / "fuxiflow").rglob("*.py"):
        for name in imported(path) - set(sys.stdlib_module_names) - {"fuxiflow"}:
            made_by = {normalised(one) for one in distributions.get(name, [name])}
            assert made_by & declared, f"{path.name} imports {name}, which pyproject.toml lacks"


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path):
    """First parts of the names of all modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


def test_configuration_and_resources_travel_with_the_wheel(wheel):
    carried = set(zipfile.ZipFile(wheel).namelist())
    archive = ROOT / "resources" / "archive"
    for folder in ("config", "resources"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and archive not in path.parents:
                assert f"fuxiflow/data/{path.relative_to(ROOT)}" in carried


def test_an_installed_package_checks_a_configuration_in_any_folder(installed, tmp_path):
    shutil.copy(ROOT / "config" / "demo.yaml", tmp_path / "mine.yaml")
    checked = run(installed, tmp_path, "check", "mine.yaml")
    assert (checked.returncode, checked.stdout) == (0, "mine.yaml: valid, name demo\n")
    schema = run(installed, tmp_path, "schema")
    assert schema.stdout == (ROOT / "config" / "schema.json").read_text()


def test_an_installed_package_has_its_tables(installed, tmp_path):
    code = (
        "from fuxiflow import ROOT, channels\n"
        "from fuxiflow.config import sources\n"
        "from fuxiflow.figures import maps\n"
        "from fuxiflow.operators.microwave import MicrowaveOperator\n"
        "assert ROOT.parts[-2:] == ('fuxiflow', 'data'), ROOT\n"
        "assert len(channels.channel_table()) == 70\n"
        "assert sources.load_source('noaa20_atms').channels\n"
        "assert MicrowaveOperator.for_instrument('atms').channels\n"
        "assert maps.COASTLINE.is_file()\n"
        "assert (ROOT / 'resources' / 'world' / 't31.npz').is_file()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "none.yaml"), "none.yaml"),
        (("inspect", "none.zarr"), "none.zarr: no such file or folder"),
        (("explain", "mine.yaml"), "explain needs a checkout"),
        (("redraw", "clouds", "a.csv", "a.png"), "unknown figure 'clouds'"),
        (("acceptance", "results/none"), "results/none/scores/scores.parquet: not there"),
    ],
)
def test_a_command_that_fails_says_why_in_one_line(installed, tmp_path, words, message):
    ended = run(installed, tmp_path, *words)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_the_version_to_cite_is_this_one():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == __version__


def test_the_files_of_a_checkout_win(tmp_path):
    package, checkout = tmp_path / "site" / "fuxiflow", tmp_path / "checkout"
    assert project_folder(package, checkout) == package / "data"
    (checkout / "config").mkdir(parents=True)
    (checkout / "Snakefile").touch()
    assert project_folder(package, checkout) == package / "data"
    (checkout / "config" / "channels.csv").touch()
    assert project_folder(package, checkout) == checkout
    assert project_folder(checkout / "fuxiflow", tmp_path) == checkout
    assert project_folder() == ROOT
