"""Fingerprints follow what code computes, not how it is written nor what lies beside it."""

import textwrap

import pytest

from fuxiflow import ROOT
from fuxiflow.runtime import fingerprint

FILES = {
    "fuxiflow/__init__.py": "",
    "fuxiflow/one.py": """
        import json
        from typing import TYPE_CHECKING

        from fuxiflow import ROOT, settings
        from fuxiflow.deep import three
        from fuxiflow.deep.two import double as twice
        from fuxiflow.progress import progress

        if TYPE_CHECKING:
            from fuxiflow.other import Unused

        F = ROOT / 'config' / 't.csv'
        FACTOR = 2

        def main_of(x: "Unused", log):
            log.info("begins with %d", x)
            three = twice(x)
            for i in progress([1], f"label of {x}", log):
                local: int = settings.LIMITS["a"]
            return three + apply(local) + len(str(F))

        def apply(x):
            return Model(x).run() + json.loads("1")

        class Model:
            size: int = FACTOR
            def __init__(self, x):
                self.x = x
            def run(self):
                return three.cube(self.x)

        def unused(x):
            return other_table(x)

        def other_table(x):
            return x
    """,
    "fuxiflow/deep/__init__.py": "",
    "fuxiflow/deep/two.py": '''
        def double(x):
            """Twice x."""
            return 2 * x

        def half(x):
            return x / 2
    ''',
    "fuxiflow/deep/three.py": """
        def cube(x):
            from fuxiflow.deep.lazy import power
            return power(x, 3)
    """,
    "fuxiflow/deep/lazy.py": """
        import warnings
        warnings.simplefilter("ignore")
        POWERS = {}
        POWERS["a"] = 1

        def power(x, n):
            return x ** n

        def root(x):
            return x ** 0.5
    """,
    "fuxiflow/settings.py": """
        LIMITS = {"a": 1}
        LIMITS |= {"b": 2}
        OTHERS = {"a": 1}
    """,
    "fuxiflow/other.py": "VALUE = 1\n\n\nclass Unused:\n    x = 1\n",
    "fuxiflow/progress.py": "def progress(items, label, log):\n    yield from items\n",
    "fuxiflow/runtime/__init__.py": "",
    "fuxiflow/runtime/rule_runner.py": "def run(main):\n    main()\n",
    "fuxiflow/storage/__init__.py": "",
    "fuxiflow/storage/provenance.py": "def stamp():\n    return 1\n",
    "config/t.csv": "a,b\n",
    "config/unused.csv": "a,b\n",
    "script.py": """
        import numpy as np

        from fuxiflow.one import main_of
        from fuxiflow.storage import provenance

        def main(log):
            provenance.stamp()
            print(main_of(np.pi, log))

        if __name__ == "__main__":
            from fuxiflow.runtime.rule_runner import run
            run(main)
    """,
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A little project: a script that imports modules, which import others and read a file."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return tmp_path


def of(project):
    for cached in (fingerprint._read_module, fingerprint._project, fingerprint._data_digest):
        cached.cache_clear()
    return fingerprint.fingerprint(project / "script.py")


def edit(project, name, old, new):
    path = project / name
    text = path.read_text()
    assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new))


IMMATERIAL = {
    "a docstring": ("fuxiflow/deep/two.py", '"""Twice x."""', '"""Two times x."""'),
    "no docstring": ("fuxiflow/deep/two.py", '    """Twice x."""\n', ""),
    "a text after a constant": ("fuxiflow/one.py", "FACTOR = 2\n", 'FACTOR = 2\n"""Of all."""\n'),
    "formatting": ("fuxiflow/deep/two.py", "return 2 * x", "return (2 *\n            x)  # twice"),
    "a comment": ("script.py", "import numpy as np\n", "# numbers\nimport numpy as np\n\n\n"),
    "a module that nothing imports": ("fuxiflow/other.py", "VALUE = 1", "VALUE = 2"),
    "an import for annotations": ("fuxiflow/other.py", "x = 1", "x = 2"),
    "an annotation of a function": ("fuxiflow/one.py", 'x: "Unused", log', "x: int, log"),
    "an annotation of a local variable": ("fuxiflow/one.py", "local: int =", "local: float ="),
    "a function that nothing calls": ("fuxiflow/deep/two.py", "x / 2", "x / 3"),
    "a function of a module imported within": ("fuxiflow/deep/lazy.py", "x ** 0.5", "x ** 0.6"),
    "what only an unused function calls": (
        "fuxiflow/one.py",
        "x):\n    return x\n",
        "y):\n    x\n",
    ),
    "a constant that nothing reads": (
        "fuxiflow/settings.py",
        'OTHERS = {"a": 1}',
        'OTHERS = {"a": 2}',
    ),
    "an import that nothing uses": (
        "fuxiflow/one.py",
        "import json\n",
        "import json\nimport csv\n",
    ),
    "a package's own statements": ("fuxiflow/deep/__init__.py", None, "LEVEL = 1\n"),
    "a message for the log": ("fuxiflow/one.py", "begins with %d", "starts at %d"),
    "a label of progress": ("fuxiflow/one.py", "label of {x}", "how far {x}"),
    "how progress is told": ("fuxiflow/progress.py", "yield from items", "return iter(items)"),
    "provenance": ("fuxiflow/storage/provenance.py", "return 1", "return 2"),
    "what runs the script": ("fuxiflow/runtime/rule_runner.py", "main()", "return main()"),
    "how the script is started": ("script.py", "    run(main)", "    run(main, 1)"),
    "a file that nothing names": ("config/unused.csv", "a,b", "a,c"),
}

MATERIAL = {
    "the script": ("script.py", "np.pi", "np.e"),
    "a statement of the script": ("script.py", "def main", "SIZE = 1\n\ndef main"),
    "what a name of the script means": ("script.py", "import numpy as", "import torch as"),
    "a function imported under another name": ("fuxiflow/deep/two.py", "2 * x", "3 * x"),
    "the choice among functions": ("fuxiflow/one.py", "import double as", "import half as"),
    "a function of the same module": ("fuxiflow/one.py", "(x).run()", "(x + 1).run()"),
    "a method": ("fuxiflow/one.py", "self.x = x", "self.x = -x"),
    "an annotation of a class": ("fuxiflow/one.py", "size: int", "size: float"),
    "a constant that a class reads": ("fuxiflow/one.py", "FACTOR = 2", "FACTOR = 3"),
    "a constant by module.name": ("fuxiflow/settings.py", 'LIMITS = {"a": 1}', 'LIMITS = {"a": 2}'),
    "what is added to a constant": ("fuxiflow/settings.py", '{"b": 2}', '{"b": 3}'),
    "a function imported within a method": ("fuxiflow/deep/lazy.py", "x ** n", "x ** -n"),
    "a statement that runs on import": ("fuxiflow/deep/lazy.py", '"ignore"', '"error"'),
    "an item set on import": ("fuxiflow/deep/lazy.py", '["a"] = 1', '["a"] = 2'),
    "a statement of a package": ("fuxiflow/deep/__init__.py", None, "print(1)\n"),
    "a value that goes to the log": ("fuxiflow/one.py", 'with %d", x)', 'with %d", next(x))'),
    "a file": ("config/t.csv", "a,b", "a,c"),
}


def change(project, name, old, new):
    if old is None:
        (project / name).write_text(new)
    else:
        edit(project, name, old, new)


@pytest.mark.parametrize("what", IMMATERIAL)
def test_what_does_not_matter(project, what):
    before = of(project)
    change(project, *IMMATERIAL[what])
    assert of(project) == before


@pytest.mark.parametrize("what", MATERIAL)
def test_what_matters(project, what):
    before = of(project)
    change(project, *MATERIAL[what])
    assert of(project) != before


OTHER = """
VALUE = 1
TABLE = {}
A = VALUE

def f(*x):
    return VALUE

class C:
    m = f
"""
FURTHER = {
    "an import under a condition": (
        "import json\n\ntry:\n    from fuxiflow.other import f\nexcept ImportError:\n    f = None",
        "f()",
    ),
    "the first of two such imports": (
        "if 1:\n    from fuxiflow.other import f\nelse:\n    from json import load as f",
        "f()",
    ),
    "a module imported under a condition": (
        "try:\n    from fuxiflow import other\nfinally:\n    pass",
        "other.f()",
    ),
    "what is not for type checkers": (
        "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    f = 1\nelse:\n    from fuxiflow.other import f",
        "f()",
    ),
    "a default value": ("from fuxiflow.other import A\n\ndef g(x=A):\n    return x", "g()"),
    "a decorator": ("from fuxiflow.other import f\n\n@f\ndef g():\n    pass", "g()"),
    "a base class": ("from fuxiflow import other\n\nclass B(other.C):\n    pass", "B().m()"),
    "a class attribute": ("from fuxiflow.other import A\n\nclass B:\n    a = A", "B.a"),
    "a function registered elsewhere": (
        "from fuxiflow.other import TABLE\nfrom fuxiflow.deep.two import double\n\n"
        "@double\ndef g():\n    return VALUE",
        "TABLE['g']()",
    ),
    "a function registered here": (
        "T = {}\n\ndef f(g):\n    T[g.__name__] = g\n\n@f\ndef g():\n    return VALUE",
        "T['g']()",
    ),
    "a lambda in a table": (
        "from fuxiflow import other\n\nT = {'a': lambda x: other.f(x)}",
        "T['a'](1)",
    ),
    "a name within a formatted text": ("from fuxiflow.other import A", "{'a1': 1}[f'a{A}']"),
    "an attribute by its name": ("from fuxiflow import other", "getattr(other, 'A')"),
    "a name passed on by a package": ("from fuxiflow.passing import A", "A"),
    "a name given by :=": ("X = (Y := VALUE)", "Y"),
    "a field of a class within a function": (
        "def f():\n    class C:\n        x: VALUE\n    return C",
        "f()",
    ),
}


@pytest.mark.parametrize("what", FURTHER)
def test_ways_to_a_definition(project, what):
    statements, use = FURTHER[what]
    files = {
        "fuxiflow/other.py": OTHER,
        "fuxiflow/way.py": f"{statements}\n\ndef main():\n    return {use}\n",
        "fuxiflow/passing/__init__.py": "from fuxiflow.other import A\n",
        "script.py": "from fuxiflow.way import main\n\nmain()\n",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    before = of(project)
    for name in ("fuxiflow/other.py", "fuxiflow/way.py"):
        text = files[name].replace("VALUE = 1", "VALUE = 2")
        changed = text if name.endswith("other.py") else text.replace("VALUE", "NUMBER")
        (project / name).write_text(changed)
    assert of(project) != before


def test_a_conditional_import_that_a_script_does_not_reach_is_none(project):
    (project / "fuxiflow/other.py").write_text("if 1:\n    from fuxiflow.deep.two import half\n")
    before = of(project)
    edit(project, "fuxiflow/deep/two.py", "x / 2", "x / 3")
    assert of(project) == before


def test_a_module_used_otherwise_than_by_attribute_counts_whole(project):
    edit(project, "fuxiflow/one.py", "return x\n", "return x\n\nKINDS = [three, settings]\n")
    edit(project, "fuxiflow/one.py", "def apply(x):\n", "def apply(x):\n    KINDS\n")
    before = of(project)
    edit(project, "fuxiflow/settings.py", 'OTHERS = {"a": 1}', 'OTHERS = {"a": 2}')
    assert of(project) != before


def test_a_local_variable_is_no_use_of_the_module_of_its_name(project):
    """In ``main_of`` the module ``three`` is hidden by a variable; ``Model.run`` uses its cube."""
    edit(
        project, "fuxiflow/deep/three.py", "def cube", "def fourth(x):\n    return 4\n\n\ndef cube"
    )
    before = of(project)
    edit(project, "fuxiflow/deep/three.py", "return 4", "return 5")
    assert of(project) == before


@pytest.mark.parametrize(
    "expression",
    [
        "[three for _ in [1]]",
        "[x for x in three]",
        "(lambda x: three)(1)",
        "(lambda three: x)(three)",
        "getattr(three, 'cube')",
        "f'{three}'",
        "max(1, key=three)",
    ],
)
def test_a_bare_use_of_a_module_is_seen_wherever_it_stands(project, expression):
    edit(project, "fuxiflow/one.py", "def apply(x):\n", f"def apply(x):\n    {expression}\n")
    edit(
        project, "fuxiflow/deep/three.py", "def cube", "def fourth(x):\n    return 4\n\n\ndef cube"
    )
    before = of(project)
    edit(project, "fuxiflow/deep/three.py", "return 4", "return 5")
    assert of(project) != before


@pytest.mark.parametrize("expression", ["[three for three in [1]]", "(lambda three: three)(1)"])
def test_a_name_bound_in_an_expression_is_no_use_of_the_module(project, expression):
    edit(project, "fuxiflow/one.py", "def apply(x):\n", f"def apply(x):\n    {expression}\n")
    edit(
        project, "fuxiflow/deep/three.py", "def cube", "def fourth(x):\n    return 4\n\n\ndef cube"
    )
    before = of(project)
    edit(project, "fuxiflow/deep/three.py", "return 4", "return 5")
    assert of(project) == before


def test_a_name_that_a_module_passes_on_is_followed(project):
    (project / "fuxiflow/deep/__init__.py").write_text("from fuxiflow.deep.two import double\n")
    edit(project, "fuxiflow/one.py", "from fuxiflow.deep.two import", "from fuxiflow.deep import")
    before = of(project)
    edit(project, "fuxiflow/deep/two.py", "x / 2", "x / 3")
    assert of(project) == before
    edit(project, "fuxiflow/deep/two.py", "2 * x", "3 * x")
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


def test_an_edit_is_seen_within_a_process(project):
    before = of(project)
    edit(project, "fuxiflow/deep/two.py", "2 * x", "3 * x")
    assert fingerprint.fingerprint(project / "script.py") != before


def test_closure_names_the_files_that_are_imported_and_their_imports(project):
    of(project)
    closure = {
        path.relative_to(project).as_posix(): names
        for path, names in fingerprint.imported_files(project / "script.py").items()
    }
    # other.py is imported for annotations alone
    modules = {name for name in FILES if name.endswith(".py")}
    assert set(closure) == modules - {"fuxiflow/other.py"}
    assert "numpy" in closure["script.py"]
    assert "warnings" in closure["fuxiflow/deep/lazy.py"]


def test_imports_for_type_checkers_alone_are_not_reached(project):
    text = (
        "from typing import TYPE_CHECKING\n\n"
        "if TYPE_CHECKING:\n    import pandas\n    from fuxiflow.deep import lazy\n"
    )
    (project / "alone.py").write_text(text)
    files = fingerprint.imported_files(project / "alone.py")
    assert files == {project / "alone.py": {"typing", "typing.TYPE_CHECKING"}}


def test_a_fingerprint_is_made_of_definitions_by_file(project):
    of(project)
    parts = fingerprint.fingerprint_parts(project / "script.py")
    assert set(parts["fuxiflow/deep/two.py"]) == {"double()"}
    assert set(parts["fuxiflow/one.py"]) == {
        *("F", "FACTOR", "main_of()", "apply()", "imports"),
        *("class Model", "Model.__init__()", "Model.run()"),
    }
    assert set(parts["fuxiflow/deep/lazy.py"]) == {
        "power()",
        "statements outside functions",
        "POWERS",
        "imports",
    }
    assert set(parts["config/t.csv"]) == {"contents"}
    assert not {name for name in parts if "runtime" in name or "progress" in name}


@pytest.mark.parametrize(("folder", "counts"), [("tables", True), ("operators", False)])
def test_a_folder_of_resources_is_data_unless_parameters_tell_its_files(project, folder, counts):
    (project / "resources" / folder).mkdir(parents=True)
    (project / "resources" / folder / "x.npz").write_bytes(b"1")
    edit(project, "fuxiflow/one.py", "F = ", f"D = ROOT / 'resources' / '{folder}'\nF = ")
    edit(project, "fuxiflow/one.py", "str(F)", "str(F / D)")
    before = of(project)
    (project / "resources" / folder / "x.npz").write_bytes(b"2")
    assert (of(project) != before) == counts


def test_faults_are_named(project):
    edit(project, "fuxiflow/deep/two.py", "return 2", "retrun 2")
    with pytest.raises(SyntaxError, match=r"two\.py, line 3"):
        of(project)


def test_relative_imports_and_imports_of_everything_are_refused(project):
    edit(project, "fuxiflow/deep/three.py", "from fuxiflow.deep.lazy", "from .lazy")
    with pytest.raises(ValueError, match=r"three\.py, line 2: relative import"):
        of(project)
    edit(project, "fuxiflow/deep/three.py", "from .lazy import power", "pass")
    edit(project, "fuxiflow/deep/lazy.py", "import warnings", "from warnings import *")
    (project / "fuxiflow/deep/__init__.py").write_text("import fuxiflow.deep.lazy\n")
    with pytest.raises(ValueError, match=r"lazy\.py, line 1: import of \*"):
        of(project)


def test_descriptions_below_names_are_docstrings_too(project):
    before = of(project)
    edit(project, "fuxiflow/one.py", "F = ", '"""The next one is a number."""\nF = ')
    assert of(project) == before


def test_every_script_of_this_project_has_one():
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    assert scripts
    for script in scripts:
        assert len(fingerprint.fingerprint(script)) == 16


def test_what_cannot_change_a_result_is_in_no_fingerprint():
    for script in sorted((ROOT / "workflow" / "scripts").glob("*.py")):
        for name in fingerprint.fingerprint_parts(script):
            assert not name.startswith("fuxiflow/runtime/"), script
            assert name not in ("fuxiflow/progress.py", "fuxiflow/storage/provenance.py"), script
