"""Code fingerprints: what a script computes, without how it is written.

A fingerprint is a hash of the syntax trees, without docstrings and comments, of a script and of every project module
that it imports, transitively. Imports are followed by name in the source, so nothing is executed.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fuxiflow import ROOT

PACKAGE = "fuxiflow"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _module_file(module: str) -> Path | None:
    """The source file of a project module, None where the name is an attribute or a foreign module."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def _imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what a syntax tree imports, ``from a import b`` as both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


@cache
def _read(path: Path, mtime_ns: int) -> tuple[str, frozenset[str]]:
    """The hash of one file's code and the names it imports; cached while the file is unchanged."""
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError as error:
        raise SyntaxError(f"{path}, line {error.lineno}: {error.msg}") from error
    names = frozenset(_imported(tree))
    code = ast.dump(_without_docstrings(tree), annotate_fields=False)
    return hashlib.sha256(code.encode()).hexdigest(), names


def closure(script: Path) -> dict[Path, frozenset[str]]:
    """All project files a script can reach, itself included, each with the names it imports."""
    todo, seen = [Path(script).resolve()], {}
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        _, seen[path] = _read(path, path.stat().st_mtime_ns)
        for name in seen[path]:
            if name.split(".")[0] != PACKAGE:
                continue
            parts = name.split(".")
            ancestors = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
            todo.extend(found for ancestor in ancestors if (found := _module_file(ancestor)))
    return seen


def fingerprint(script: Path) -> str:
    """Sixteen hexadecimal digits that change when, and only when, code reachable from ``script`` does."""
    digest = hashlib.sha256()
    for path in sorted(closure(script)):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        digest.update(f"{name} {_read(path, path.stat().st_mtime_ns)[0]}\n".encode())
    return digest.hexdigest()[:16]
