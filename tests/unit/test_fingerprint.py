"""Fingerprints follow what code computes, not how it is written."""

import ast
import textwrap

import pytest

from fuxiflow import ROOT
from fuxiflow.runtime import fingerprint


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A little project: a script that imports one module, which imports another and reads a file."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    files = {
        "fuxiflow/__init__.py": "",
        "fuxiflow/one.py": "from fuxiflow import ROOT\nfrom fuxiflow.deep.two import double\n"
        "F = ROOT / 'config' / 't.csv'\n",
        "fuxiflow/deep/__init__.py": "",
        "fuxiflow/deep/two.py": 'def double(x):\n    """Twice x."""\n    return 2 * x\n',
        "fuxiflow/other.py": "VALUE = 1\n",
        "config/t.csv": "a,b\n",
        "config/unused.csv": "a,b\n",
        "script.py": "import numpy as np\nfrom fuxiflow.one import double\nprint(double(np.pi))\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def of(project):
    fingerprint._module_files.cache_clear()
    fingerprint._read.cache_clear()
    fingerprint._data_digest.cache_clear()
    return fingerprint.fingerprint(project / "script.py")


def edit(project, name, old, new):
    path = project / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("fuxiflow/deep/two.py", '"""Twice x."""', '"""Two times x."""'),
        ("fuxiflow/deep/two.py", '    """Twice x."""\n', ""),
        ("fuxiflow/deep/two.py", "return 2 * x", "return (2 *\n            x)  # twice"),
        ("script.py", "import numpy as np\n", "# numbers\nimport numpy as np\n\n\n"),
        ("fuxiflow/other.py", "VALUE = 1", "VALUE = 2"),
        ("config/unused.csv", "a,b", "a,c"),
    ],
)
def test_what_does_not_matter(project, name, old, new):
    before = of(project)
    edit(project, name, old, new)
    assert of(project) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("script.py", "np.pi", "np.e"),
        ("fuxiflow/deep/two.py", "2 * x", "3 * x"),
        ("fuxiflow/deep/__init__.py", "", "LEVEL = 1\n"),
        ("fuxiflow/one.py", "double\n", "double as doubled\n"),
        ("config/t.csv", "a,b", "a,c"),
    ],
)
def test_what_matters(project, name, old, new):
    before = of(project)
    edit(project, name, old, new)
    assert of(project) != before


def test_touching_and_moving_change_nothing(project, tmp_path_factory, monkeypatch):
    before = of(project)
    for path in project.rglob("*.py"):
        path.touch()
    assert of(project) == before
    copy = tmp_path_factory.mktemp("clone") / "elsewhere"
    project.rename(copy)
    monkeypatch.setattr(fingerprint, "ROOT", copy)
    assert of(copy) == before


def test_closure_names_files_and_imports(project):
    of(project)
    closure = {
        path.relative_to(project).as_posix(): names
        for path, names in fingerprint.closure(project / "script.py").items()
    }
    assert set(closure) == {
        "script.py",
        "fuxiflow/__init__.py",
        "fuxiflow/one.py",
        "fuxiflow/deep/__init__.py",
        "fuxiflow/deep/two.py",
    }
    assert "numpy" in closure["script.py"]


def test_a_folder_of_resources_is_data(project):
    (project / "resources" / "tables").mkdir(parents=True)
    (project / "resources" / "tables" / "x.npz").write_bytes(b"1")
    edit(project, "fuxiflow/one.py", "F = ", "D = ROOT / 'resources' / 'tables'\nF = ")
    before = of(project)
    (project / "resources" / "tables" / "x.npz").write_bytes(b"2")
    assert of(project) != before


def test_faults_are_named(project):
    edit(project, "fuxiflow/deep/two.py", "return", "retrun")
    with pytest.raises(SyntaxError, match=r"two\.py, line 3"):
        of(project)


def test_relative_imports_are_refused(project):
    edit(project, "fuxiflow/one.py", "from fuxiflow.deep.two", "from .deep.two")
    with pytest.raises(ValueError, match=r"one\.py, line 2: relative import"):
        of(project)


def test_without_docstrings_keeps_bodies_valid():
    tree = ast.parse(
        textwrap.dedent('''
        """Module."""
        def f():
            """Only this."""
    ''')
    )
    fingerprint._drop_docstrings(list(ast.walk(tree)))
    assert ast.unparse(tree) == "def f():\n    pass"


def test_descriptions_below_names_are_docstrings_too(project):
    before = of(project)
    edit(project, "fuxiflow/one.py", "F = ", '"""The next one is a number."""\nF = ')
    assert of(project) == before


def test_every_script_of_this_project_has_one():
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    assert scripts
    for script in scripts:
        assert len(fingerprint.fingerprint(script)) == 16
