"""Code fingerprints: what a script computes, without how it is written.

A fingerprint is a hash of the syntax trees, without docstrings and comments, of a script and of every project module
that it imports, transitively, and of the project's data files that these name as ``ROOT / "folder" / "file"``: the
channel table, the operator's coefficients. Everything is followed by name in the source, so nothing is executed.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuxiflow import ROOT

PACKAGE = "fuxiflow"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """One file: the digest of its code, the dotted names it imports, the data files it names, relative to ROOT."""

    digest: str
    imports: frozenset[str]
    data: frozenset[str]


def _module_file(module: str) -> Path | None:
    """The source file of a project module, None where the name is an attribute or a foreign module."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def _module_files(name: str) -> tuple[Path, ...]:
    """The source files of a dotted name and of the packages that it is in, as far as they are the project's."""
    parts = name.split(".")
    ancestors = (
        [".".join(parts[:i]) for i in range(1, len(parts) + 1)] if parts[0] == PACKAGE else []
    )
    return tuple(found for ancestor in ancestors if (found := _module_file(ancestor)))


def _imported(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Dotted names of what a syntax tree imports, ``from a import b`` as both ``a`` and ``a.b``."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(
                    f"line {node.lineno}: relative import, which fingerprints do not follow; "
                    f"write 'from {PACKAGE}. … import …'"
                )
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _parts(node: ast.AST) -> list[str] | None:
    """The parts of ``ROOT / "a" / "b"``, None for any other expression."""
    if isinstance(node, ast.Name) and node.id == "ROOT":
        return []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left = _parts(node.left)
        if (
            left is not None
            and isinstance(node.right, ast.Constant)
            and isinstance(node.right.value, str)
        ):
            return [*left, node.right.value]
    return None


def _named_files(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Files of the project that a syntax tree names from ROOT, and all files of a named folder of ``resources``.

    Other folders, such as that of the sources, are left to the rules' parameters: not every file concerns every rule.
    """
    for node in nodes:
        if not (isinstance(node, ast.BinOp) and (parts := _parts(node))):
            continue
        path = ROOT.joinpath(*parts)
        if path.is_file():
            yield "/".join(parts)
        elif path.is_dir() and len(parts) > 1 and parts[0] == "resources":
            yield from (
                file.relative_to(ROOT).as_posix() for file in path.rglob("*") if file.is_file()
            )


def _is_text(node: ast.stmt) -> bool:
    """Return whether a statement is a string and nothing else."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


def _drop_docstrings(nodes: Sequence[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, _DOCUMENTED):
            # a string that stands alone below a name documents it, as descriptions of settings do
            kept = [item for item in node.body if not _is_text(item)]
            if len(kept) < len(node.body):
                node.body = kept or [ast.Pass()]


@cache
def _read(path: Path, mtime_ns: int) -> Source:
    """One source file; cached while it is unchanged."""
    try:
        tree = ast.parse(path.read_text())
        nodes = list(ast.walk(tree))
        imports = frozenset(_imported(nodes))
    except SyntaxError as error:
        raise SyntaxError(f"{path}, line {error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from error
    data = frozenset(_named_files(nodes))
    _drop_docstrings(nodes)
    return Source(
        hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest(), imports, data
    )


@cache
def _data_digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sources(script: Path) -> dict[Path, Source]:
    """All project files a script can reach, itself included."""
    todo, seen = [Path(script).resolve()], {}
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen[path] = _read(path, path.stat().st_mtime_ns)
        todo.extend(found for name in seen[path].imports for found in _module_files(name))
    return seen


def closure(script: Path) -> dict[Path, frozenset[str]]:
    """All project files a script can reach, itself included, each with the dotted names it imports."""
    return {path: source.imports for path, source in _sources(script).items()}


def fingerprint(script: Path) -> str:
    """Sixteen hexadecimal digits that change when, and only when, code or data reachable from ``script`` does."""
    sources = _sources(script)
    lines = []
    for path, source in sources.items():
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        lines.append(f"{name} {source.digest}")
    for name in {name for source in sources.values() for name in source.data}:
        path = ROOT / name
        lines.append(f"{name} {_data_digest(path, path.stat().st_mtime_ns)}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def _definitions(path: Path) -> dict[str, str]:
    """Digests of a file's functions, methods and what else stands at the top of it, by name, docstrings apart."""
    found, rest = {}, []

    def add(name: str, nodes: list[ast.AST]) -> None:
        text = "".join(ast.dump(node, annotate_fields=False) for node in nodes)
        found[name] = hashlib.sha256((found.get(name, "") + text).encode()).hexdigest()[:16]

    tree = ast.parse(path.read_text())
    _drop_docstrings(list(ast.walk(tree)))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            add(f"{node.name}()", [node])
        elif isinstance(node, ast.ClassDef):
            methods = [
                item
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            for item in methods:
                add(f"{node.name}.{item.name}()", [item])
            add(
                f"class {node.name}",
                [
                    *node.bases,
                    *node.keywords,
                    *node.decorator_list,
                    *(item for item in node.body if item not in methods),
                ],
            )
        elif isinstance(node, ast.Assign) and all(
            isinstance(target, ast.Name) for target in node.targets
        ):
            add(", ".join(target.id for target in node.targets), [node])
        elif isinstance(node, ast.Import | ast.ImportFrom):
            add("imports", [node])
        else:
            rest.append(node)
    if rest:
        add("statements outside functions", rest)
    return found


def parts(script: Path) -> dict[str, dict[str, str]]:
    """What :func:`fingerprint` is made of: by file the digests of its definitions, of a data file the digest of all."""
    sources = _sources(script)
    found = {
        str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name): _definitions(path)
        for path in sources
    }
    for name in {name for source in sources.values() for name in source.data}:
        found[name] = {"contents": _data_digest(ROOT / name, (ROOT / name).stat().st_mtime_ns)[:16]}
    return dict(sorted(found.items()))
