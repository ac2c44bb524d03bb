"""Each rule's environment names what its script can import, in the versions of the pinned list."""

import ast
import re
import sys

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.observations import readers
from fuxiflow.runtime.fingerprint import fingerprint, imported_files
from fuxiflow.runtime.run_state import STAGES
from tests.support.parsed_rules import parsed_rules

EMBEDDED = "embedded synthetic world"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
# the archive stage runs where Snakemake does
WITH_ENVIRONMENT = [path for path in SCRIPTS if not path.stem.startswith("archive_")]
# what conda-forge calls a package that Python imports by another name; first: what it is called on
# PyPI
PACKAGES = {
    "cartopy": ("cartopy", "cartopy"),
    "eccodes": ("eccodes", "python-eccodes"),
    "google_crc32c": ("google-crc32c", "google-crc32c"),
    "matplotlib": ("matplotlib", "matplotlib-base"),
    "netCDF4": ("netcdf4", "netcdf4"),
    "PIL": ("pillow", "pillow"),
    "pydantic_core": ("pydantic", "pydantic"),
    "rattler": ("py-rattler", "py-rattler"),
    "torch": ("torch", "pytorch"),
    "yaml": ("pyyaml", "pyyaml"),
}
# what is imported without an import statement: plug-ins and back ends
PLUG_INS = {"torch.utils.tensorboard": "tensorboard", "cfgrib": "cfgrib"}
# what an environment holds for a library, which imports it by itself
# xarray opens with it the boundary data of jcm, and tables of Jacobians
NEEDED_BY_LIBRARIES = {"world": {"netcdf4"}, "figures": {"netcdf4"}}
# tools and plug-ins that no module of the package or test imports
TOOLS = {
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "ruff",
    "snakefmt",
    "import-linter",
    "mkdocs-material",
    "setuptools",
    "pytest-xdist",
    "tensorboard",
}


def environment_of(script):
    """The environment of a script's rule, by its stage."""
    stage = script.stem.split("_")[0]
    path = ROOT / "envs" / f"{'figures' if stage == 'figure' else stage}.yaml"
    assert path.exists(), f"{script.name}: {path.name} is missing"
    return path, contents(path)


def contents(path):
    """Versions by name of an environment, those that pip adds included."""
    named = {}
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, version = re.match(r"([\w.-]+)\s*=*\s*([\w.]*)", text).groups()
            named[name.lower()] = version
    return named


def imported(script):
    """Third-party packages that a script can reach, by the names of imports; readers are imported
    by name.
    """
    reached = imported_files(script)
    if script.stem == "observations_read":
        for reader in readers.reader_names():
            reached |= imported_files(readers.module_file(reader))
    names = {name for names in reached.values() for name in names}
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"fuxiflow"}
    plugged = {package for name, package in PLUG_INS.items() if name in names}
    return foreign | plugged


def pins():
    """Pinned versions by PyPI name."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {
        name.lower(): version
        for line in lines
        if "==" in line
        for name, version in [line.partition(";")[0].split("==")]
    }


def every_import():
    """All third-party modules that the project's files name, tests and benchmarks included."""
    files = [
        path
        for folder in ("fuxiflow", "workflow/scripts", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"fuxiflow", "tests", "benchmarks"}


@pytest.mark.parametrize("script", WITH_ENVIRONMENT, ids=lambda path: path.stem)
def test_environment_names_what_a_script_reaches(script):
    path, named = environment_of(script)
    for module in sorted(imported(script)):
        package = PACKAGES.get(module, (module, module.replace("_", "-")))[1]
        assert package in named or package.removesuffix("-base") in named, (
            f"{path.name} lacks {package}: {script.name}"
        )


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_names_little_else(path):
    reached = set().union(
        *(imported(script) for script in WITH_ENVIRONMENT if environment_of(script)[0] == path)
    )
    assert reached, f"{path.name} is no script's"
    needed = {PACKAGES.get(module, (module, module.replace("_", "-")))[1] for module in reached}
    needed |= {"python", "pip"} | NEEDED_BY_LIBRARIES.get(path.stem, set())
    assert not contents(path).keys() - needed, f"{path.name} names what none of its scripts reaches"


@pytest.mark.parametrize(
    ("stage", "heavy"),
    [
        ("figures", {"torch", "jax", "satpy"}),
        ("training", {"satpy", "jax", "eccodes", "matplotlib"}),
        ("observations", {"torch", "jax", "matplotlib"}),
    ],
)
def test_stages_do_without_each_others_heavy_packages(stage, heavy):
    named = contents(ROOT / "envs" / f"{stage}.yaml")
    assert not {PACKAGES.get(module, (module, module))[1] for module in heavy} & named.keys()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_versions_are_those_of_the_pinned_list(path):
    known = pins()
    to_pypi = {conda: pypi for pypi, conda in PACKAGES.values()}
    assert yaml.safe_load(path.read_text())["channels"][0] == "conda-forge"
    named = contents(path)
    assert named.pop("python") == "3.11"
    named.pop("pip", None)
    for name, version in named.items():
        pypi = to_pypi.get(name, name)
        assert pypi in known, f"{path.name}: {name} is not in requirements.txt"
        assert version, f"{path.name}: {name} has no version"
        assert f"{known[pypi]}.".startswith(f"{version}."), f"{path.name}: {name}"


@pytest.mark.parametrize("configuration", ["test.yaml", "paper.yaml"])
def test_every_rule_has_what_all_rules_have(configuration):
    for name, rule in parsed_rules(configuration).items():
        if rule.script is None:
            assert name in STAGES or name in ("all", "validation"), f"{name} has no script"
            continue
        script = ROOT / "workflow/scripts" / f"{name}.py"
        assert rule.script == f"../scripts/{name}.py"
        if name.startswith("archive_"):
            # raw files are asked for again by no change of code or of an environment
            assert rule.conda_env is None
            assert "code" not in dict(rule.params.items())
            continue
        assert ROOT / "workflow/rules" / rule.conda_env == (
            ROOT / "workflow/rules" / "../../envs" / environment_of(script)[0].name
        )
        stem = str(rule.benchmark).removeprefix("results/").removesuffix(".tsv").split("/", 2)
        assert stem[1] == "benchmarks"
        assert stem[2].startswith(f"{name}/")
        assert [str(log) for log in rule.log] == [f"results/{stem[0]}/logs/{stem[2]}.log"]
        assert rule.params.code(None) == fingerprint(script)
        assert rule.params.world == ("archive" if configuration == "paper.yaml" else EMBEDDED)
        assert {"mem_mb", "runtime"} <= rule.resources.keys(), f"{name} asks for no memory or time"


def test_rules_leave_to_one_place_what_all_rules_have():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        for directive in ("conda:", "log:", "benchmark:", "world=", "code="):
            assert not re.search(rf"^\s*{directive}", text, re.M), f"{path.name}: {directive}"


def test_scripts_are_thin_and_named_after_rules():
    rules = {
        name
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r"^\s*rule (\w+):", path.read_text(), re.M)
    }
    for script in SCRIPTS:
        text = script.read_text()
        assert script.stem in rules, f"{script.name} belongs to no rule"
        assert text.count("\n") <= 80, f"{script.name} is longer than 80 lines"
        assert "out: " in text
        assert text.endswith("    run(main, snakemake)  # noqa: F821\n")


def test_requirements_are_what_is_imported():
    known = pins()
    wanted = {PACKAGES.get(name, (name.lower().replace("_", "-"),))[0] for name in every_import()}
    assert wanted <= set(known), f"not in requirements.txt: {sorted(wanted - set(known))}"
    unused = set(known) - wanted - TOOLS
    assert not unused, f"in requirements.txt and never imported: {sorted(unused)}"


def test_requirements_agree_with_constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    whole = {
        name.lower(): version
        for line in lines
        if "==" in line
        for name, version in [line.partition(";")[0].split("==")]
    }
    for name, version in pins().items():
        assert whole[name] == version


def version_parts(version):
    return tuple(int(part) for part in version.split(".")[:3])


def test_the_package_asks_for_no_more_than_the_pinned_list():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = pins()
    asked = project["dependencies"] + [
        entry for extra in project["optional-dependencies"].values() for entry in extra
    ]
    for entry in asked:
        name, bounds = entry.lower().split(">=")
        lowest, _, excluded = bounds.partition(",<")
        if excluded:
            assert version_parts(known[name]) < version_parts(excluded)
        assert version_parts(lowest) <= version_parts(known[name])


def test_rules_that_can_find_less_than_there_should_be_say_how_much_they_need():
    """None of the references, systems and sources goes through without a share being asked for."""
    asking = {
        name
        for name, rule in parsed_rules("test.yaml").items()
        if rule.script and "completeness" in dict(rule.params.items())
    }
    assert asking == {
        "states_decode",
        "states_forecasts",
        "states_system_analyses",
        "states_system_forecasts",
        "observations_read",
        "observations_quality",
        "observations_grid",
        "cycling_analyses",
        "cycling_forecasts",
        "cycling_external_forecasts",
        "verification_baselines",
        "verification_forecasts",
        "verification_maps",
        "verification_analyses",
        "verification_departures",
        "verification_observed",
        "verification_structure",
    }
    for name in asking:
        text = (ROOT / "workflow/scripts" / f"{name}.py").read_text(encoding="utf-8")
        assert "params.completeness" in text, name


def test_environments_of_networks_take_a_build_for_gpus():
    for stage in ("training", "cycling"):
        text = (ROOT / "envs" / f"{stage}.yaml").read_text(encoding="utf-8")
        assert re.search(r"^  - pytorch =[\d.]+=cuda\*$", text, re.M), stage
