"""Where a checkout lies, the locale, and the home folder make no difference."""

import locale
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuxiflow import ROOT

TARGET = "results/test/figures/system.png"
FINGERPRINTS = """
import sys; sys.path.insert(0, {root!r})
import hashlib, locale
from pathlib import Path
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.sources import load_source, source_names
from fuxiflow.runtime.fingerprint import fingerprint
root = Path({root!r})
print(locale.getpreferredencoding(False), file=sys.stderr)
for path in sorted((root / "workflow/scripts").glob("*.py")):
    print(path.stem, fingerprint(path))
for name in ("test", "demo", "rehearsal", "paper"):
    values = load_configuration(root / f"config/{{name}}.yaml").model_dump_json().encode()
    print(name, hashlib.sha256(values).hexdigest())
for name in source_names():
    print(name, hashlib.sha256(load_source(name).model_dump_json().encode()).hexdigest())
"""


def run(bench, *words, python=sys.executable, **environment):
    environment = os.environ | {"MPLBACKEND": "Agg"} | environment
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [python, "-m", "snakemake", "--configfile", "config/test.yaml", "--cores", "1", *words],
        cwd=bench.folder,
        env=environment,
        check=False,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def locales():
    """Locales of this machine whose text is not UTF-8; the plain one is everywhere."""
    names, own = ["C"], locale.setlocale(locale.LC_CTYPE)
    for name in ("de_DE.ISO-8859-1", "en_US.ISO-8859-1", "zh_CN.GBK"):
        try:
            locale.setlocale(locale.LC_CTYPE, name)
            names.append(name)
        except locale.Error:
            continue
        finally:
            # the tests of this process read text in their own
            locale.setlocale(locale.LC_CTYPE, own)
    return names


@pytest.mark.slow
@pytest.mark.parametrize("name", locales())
def test_fingerprints_and_configurations_are_the_same_in_every_locale(name):
    said = []
    for language in ({"PYTHONUTF8": "1"}, {"LC_ALL": name, "PYTHONUTF8": "0"}):
        done = subprocess.run(
            [sys.executable, "-c", FINGERPRINTS.format(root=str(ROOT))],
            env=os.environ | {"PYTHONCOERCECLOCALE": "0"} | language,
            check=True,
            capture_output=True,
        )
        said.append(done)
    assert b"utf-8" in said[0].stderr.lower()
    assert b"utf-8" not in said[1].stderr.lower(), "the locale is not the one that is tested"
    assert said[0].stdout == said[1].stdout


@pytest.mark.slow
def test_a_checkout_in_a_path_with_spaces(checkout, tmp_path):
    bench = checkout.clone(tmp_path / "a b" / "fuxi flow")
    # an environment inside it, as `make setup` makes one
    (bench.folder / ".venv").symlink_to(Path(sys.prefix).resolve())
    python = str(bench.folder / ".venv" / "bin" / "python")
    assert " " in python
    done = run(bench, "--", TARGET, python=python)
    assert done.returncode == 0, done.stdout[-4000:]
    assert (bench.folder / TARGET).exists()


@pytest.mark.slow
def test_a_home_folder_that_cannot_be_written(checkout, tmp_path):
    """As `make` calls Snakemake, which needs a folder for a cache before it reads the Snakefile."""
    bench = checkout.clone(tmp_path / "fuxiflow")
    said = subprocess.run(
        ["make", "--no-print-directory", "--eval", "show: ; @printenv XDG_CACHE_HOME", "show"],
        cwd=bench.folder,
        env={"PATH": os.environ["PATH"], "HOME": "/proc/nowhere"},
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout.strip()
    assert Path(said).is_relative_to(bench.folder)
    done = run(bench, "--", TARGET, HOME="/proc/nowhere", XDG_CACHE_HOME=said)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Traceback" not in done.stdout
