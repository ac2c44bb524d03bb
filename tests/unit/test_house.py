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


def opens_by_locale(tree):
    """Lines that open or exchange text in the encoding of the locale; ruff sees some of them."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or "encoding" in (k.arg for k in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        mode = texts[-1] if texts and re.fullmatch(r"[rwaxbt+]{1,3}", str(texts[-1])) else None
        of_path = isinstance(node.func, ast.Attribute)
        if (
            (name == "read_text" and not node.args)
            or name == "write_text"
            or (name == "open" and not of_path and len(node.args) == 1)
            or (name == "open" and of_path and not node.args and not node.keywords)
            or (name == "open" and mode is not None and "b" not in mode)
            or any(k.arg == "text" and getattr(k.value, "value", 0) for k in node.keywords)
        ):
            yield node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_is_utf_8_whatever_the_locale(path):
    lines = list(opens_by_locale(ast.parse(path.read_text(encoding="utf-8"))))
    assert not lines, f'lines {lines}: no encoding="utf-8"'


def test_text_in_the_encoding_of_the_locale_is_seen():
    bad = ["open(p)", "open(p, 'w')", "p.open()", "p.open('a')", "p.read_text()", "p.write_text(x)"]
    bad += ["subprocess.run(c, text=True)"]
    good = ["open(p, 'rb')", "p.open('wb')", "open(p, encoding='utf-8')", "Image.open(p)"]
    assert all(list(opens_by_locale(ast.parse(line))) for line in bad)
    assert not any(list(opens_by_locale(ast.parse(line))) for line in good)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sections_describe_the_parameters_there_are(path):
    for function in functions(ast.parse(path.read_text(encoding="utf-8"))):
        place = f"line {function.lineno}: {function.name}"
        documented = ast.get_docstring(function) or ""
        entries = section("Parameters", documented)
        if entries is None:
            continue
        names = [name.lstrip("*") for names in entries for name in names.split(", ")]
        assert sorted(names) == sorted(parameter_names(function)), f"{place} has other parameters"
        assert all(entries.values()), f"{place} has a parameter without description"
        if function.returns is not None and ast.unparse(function.returns) != "None":
            returned = section("Returns", documented) or section("Yields", documented)
            assert returned, f"{place} does not say what it returns"


def parameter_names(function):
    given = [item for item in ast.iter_child_nodes(function.args) if isinstance(item, ast.arg)]
    return [item.arg for item in given if item.arg not in ("self", "cls")]


def section(title, docstring):
    """The entries of a section with their descriptions; None where it is missing."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)", docstring, re.S | re.M)
    if not match:
        return None
    parts = re.split(r"^(?=\S)", match[1], flags=re.M)[1:]
    pairs = [part.partition("\n") for part in parts]
    return {head.split(" : ")[0]: description.strip() for head, _, description in pairs}


def test_a_section_is_read_as_it_is_written():
    text = "A.\n\nParameters\n----------\na, b : int\n    Two.\n*c\n    More.\n\n"
    text += "Returns\n-------\nint\n"
    assert section("Parameters", text) == {"a, b": "Two.", "*c": "More."}
    assert section("Returns", text) == {"int": ""}
    assert section("Raises", text) is None


def test_public_names_stand_once():
    assert repeated_names(PACKAGE) == {}


def test_the_root_of_the_package_is_small():
    assert len([path for path in (ROOT / "fuxiflow").glob("*.py") if path.name[0] != "_"]) <= 9


def test_rules_say_what_is_their_own():
    lines = [line for path in RULES for line in path.read_text(encoding="utf-8").splitlines()]
    fixed = [line for line in lines if BOILERPLATE.match(line)]
    assert len(fixed) < len(lines) / 4
