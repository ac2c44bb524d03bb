"""The code in numbers, as docs/explanation/architecture.md has them beside those of other projects.

python -m benchmarks.house
"""

import ast
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import median

from fuxiflow import ROOT

INTERFACES = {"figures": {"table", "draw"}, "readers": {"read"}}
FIXED = re.compile(
    r"^\s*(script:|\"\.\./scripts/\w+\.py\"|log:|benchmark:|conda:|threads: 1|localrule: True"
    r"|\"\.\./\.\./envs/\S+\"|f?\"\S*(LOGS|BENCHMARKS|logs|benchmarks)\S*|world=\S+|code=\S+)$"
)
"""Lines of a rule that say nothing of its own: directives that every rule repeats."""


def parameter_count(function: ast.FunctionDef) -> int:
    """Count the parameters of a function, ``self`` and ``cls`` apart."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [one for one in (arguments.vararg, arguments.kwarg) if one]
    return sum(one.arg not in ("self", "cls") for one in named)


def measure_functions(paths: list[Path]) -> tuple[list[int], int, int]:
    """Return the lines of all functions, how many have three parameters or more, and sections."""
    lengths, many, described = [], 0, 0
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            lengths.append(node.end_lineno - node.lineno + 1)
            if parameter_count(node) >= 3:
                many += 1
                described += "Parameters\n----------" in (ast.get_docstring(node) or "")
    return lengths, many, described


def repeated_names(paths: list[Path]) -> dict[str, list[str]]:
    """Return the public names that stand in more than one module, with these modules."""
    modules = defaultdict(list)
    for path in paths:
        allowed = INTERFACES.get(path.parent.name, ())
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            if public and node.name not in allowed:
                modules[node.name].append(path.relative_to(ROOT).as_posix())
    return {name: places for name, places in modules.items() if len(places) > 1}


def described_properties() -> tuple[int, int]:
    """Return how many properties of the schema have a description, and how many there are."""
    schema = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    models = [schema, *schema["$defs"].values()]
    entries = [entry for model in models for entry in model.get("properties", {}).values()]
    return sum("description" in entry for entry in entries), len(entries)


def main() -> None:
    """Print the numbers."""
    paths = sorted((ROOT / "fuxiflow").rglob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    sizes = sorted(text.count("\n") for text in texts)
    lines = [line for text in texts for line in text.splitlines()]
    comments = sum(line.lstrip().startswith("#") for line in lines)
    lengths, many, described = measure_functions(paths)
    rules = sorted((ROOT / "workflow" / "rules").rglob("*.smk"))
    rule_lines = [line for path in rules for line in path.read_text(encoding="utf-8").splitlines()]
    fixed = sum(bool(FIXED.match(line)) for line in rule_lines)
    properties, total = described_properties()
    tests = sum(
        path.read_text(encoding="utf-8").count("\n") for path in (ROOT / "tests").rglob("*.py")
    )
    print(f"files of the package: {len(paths)}, lines {sum(sizes)}")
    print(
        f"lines of a file: median {median(sizes):.0f}, 90 % {sizes[len(sizes) * 9 // 10]}, "
        f"largest {sizes[-1]}"
    )
    print(f"lines of a function: median {median(lengths):.0f}")
    print(f"lines that are comments: {comments / len(lines):.1%}")
    print(f"lines over 100 columns: {sum(len(line) > 100 for line in lines) / len(lines):.1%}")
    print(f"functions of three or more parameters with sections: {described} of {many}")
    print(f"properties of the schema with a description: {properties} of {total}")
    print(f"public names that stand more than once: {len(repeated_names(paths))}")
    print(f"fixed lines of rules: {fixed} of {len(rule_lines)} ({fixed / len(rule_lines):.0%})")
    print(f"lines of tests for each line of the package: {tests / sum(sizes):.2f}")


if __name__ == "__main__":
    main()
