"""The house style holds: names, docstrings, sizes of files (CONTRIBUTING.md)."""

import ast
import re

import pytest

from benchmarks.house import parameter_count, repeated_names
from fuxiflow import ROOT

PACKAGE = sorted((ROOT / "fuxiflow").rglob("*.py"))
SOURCES = [
    *PACKAGE,
    *sorted((ROOT / "workflow" / "scripts").glob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]
RULES = sorted((ROOT / "workflow" / "rules").rglob("*.smk"))
VAGUE = {"found", "known", "chosen", "wanted", "room", "held", "told"}
# lines of a rule that say nothing that is its own
BOILERPLATE = re.compile(
    r"^\s*(script:|\"\.\./scripts/\w+\.py\"|resources:|params:|output:|input:|localrule: True"
    r"|log:|benchmark:|conda:|threads: 1|world=.*|code=.*)$"
)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_and_docstrings_say_what_they_mean(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 600, "a file of more than 600 lines"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        name = getattr(node, "id", None) if isinstance(node, ast.Name) else None
        name = node.arg if isinstance(node, ast.arg) else name
        assert name not in VAGUE, f"line {node.lineno}: {name} does not say what it holds"
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = (ast.get_docstring(node) or "").split("\n")[0]
            line = getattr(node, "lineno", 1)
            assert not re.match(r"(What|Which|Whose|How|Where|Whether|Who|That)\b", first), (
                f"line {line}: a docstring that is no sentence: {first}"
            )
    scripts_main = "main" if "scripts" in path.parts else None
    for function in functions(tree):
        if parameter_count(function) >= 3 and function.name != scripts_main:
            documented = ast.get_docstring(function) or ""
            assert "Parameters\n----------" in documented, (
                f"line {function.lineno}: {function.name} has {parameter_count(function)} "
                f"parameters and no section that describes them"
            )


def test_public_names_stand_once():
    assert repeated_names(PACKAGE) == {}


def test_the_root_of_the_package_is_small():
    assert len([path for path in (ROOT / "fuxiflow").glob("*.py") if path.name[0] != "_"]) <= 9


def test_rules_say_what_is_their_own():
    lines = [line for path in RULES for line in path.read_text(encoding="utf-8").splitlines()]
    fixed = [line for line in lines if BOILERPLATE.match(line)]
    assert len(fixed) < len(lines) / 4
