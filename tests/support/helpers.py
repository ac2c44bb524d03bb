"""What tests share: loading a script as a module, and the real files, where this machine
has them.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from fuxiflow import ROOT

REALDATA = ROOT.parent / "shared" / "realdata"


def asked(least: float = 0.0, **more) -> SimpleNamespace:
    """What a rule hands over as its least share of data."""
    return SimpleNamespace(setting="completeness.tested", least=least, **more)


def asked_of_source(expected: list[str], days: float = 0.0, files: float = 0.0) -> SimpleNamespace:
    """What the rules of the observations hand over: days that count, least shares."""
    return SimpleNamespace(
        expected=expected, platforms={}, days=asked(days), files=asked(files), windows=asked()
    )


def load_script(rule: str) -> ModuleType:
    """The script of a rule as a module; its ``main`` can be called on plain namespaces."""
    path = ROOT / "workflow" / "scripts" / f"{rule}.py"
    spec = importlib.util.spec_from_file_location(f"script_{rule}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded_by(*modules: str) -> set[str]:
    """Top-level names of all that is loaded in a fresh interpreter once it has imported
    ``modules``.
    """
    code = (
        f"import sys, {', '.join(modules)}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def documented_source() -> str:
    """The file of a source on the page docs/guides/add-a-sensor.md: its first YAML block."""
    return re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "guides" / "add-a-sensor.md").read_text(), re.S
    )[1]


def realdata(name: str) -> Path:
    """A real file by its name under the shared folder; the test is skipped where it is absent."""
    path = REALDATA / name
    if not path.exists():
        pytest.skip(f"real file {name} is not on this machine")
    return path
