"""Fingerprints of code: a hash of the definitions that a script's computation can reach.

1. All statements of the script count, except those that start it under ``__name__ == "__main__"``.
2. A definition is a top-level function, class or assignment of a module of the project. It counts
   when a definition that counts names it: directly, through an import, or as ``module.name``.
   A class counts whole. A module that is used in another way, or lacks the name, counts whole.
3. Statements that bind no name (``matplotlib.use("agg")``) count when their module is imported.
4. Files named as ``ROOT / "folder" / "file"`` in what counts do count by their contents, folders of
   ``resources/`` with all their files. Of the folders :data:`BY_PARAMETER` the rules' parameters
   tell which files a rule uses.
5. Comments, docstrings, the annotations of undecorated functions, and the wording of what goes to
   the log do not count. The modules :data:`LEFT_OUT` cannot change a result and never count.

Everything is followed by name in the syntax trees, so nothing is imported or run. What a
configuration names, such as a source's reader, has a parameter of its own that carries
the fingerprint of its module.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from fuxiflow import ROOT
from fuxiflow.runtime.syntax import PACKAGE, Chain, Computation, References, imports_of, is_text

LEFT_OUT = (
    "fuxiflow.completeness",
    "fuxiflow.progress",
    "fuxiflow.runtime",
    "fuxiflow.storage.checksums",
    "fuxiflow.storage.files",
    "fuxiflow.storage.manifests",
    "fuxiflow.storage.provenance",
    "fuxiflow.storage.restart_files",
    "fuxiflow.storage.restart_parts",
    "fuxiflow.storage.zarr_checks",
)
"""Modules and packages that cannot change a result."""
BY_PARAMETER = ("resources/operators",)
"""Folders of resources that do not count whole: a rule's parameters carry digests of its files."""
EFFECTS = "statements outside functions"


def _is_left_out(dotted: str) -> bool:
    return any(dotted == name or dotted.startswith(f"{name}.") for name in LEFT_OUT)


def _path_parts(node: ast.AST) -> list[str] | None:
    """Return the parts of ``ROOT / "a" / "b"``, None for any other expression."""
    if isinstance(node, ast.Name) and node.id == "ROOT":
        return []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = _path_parts(node.left), node.right
        if left is not None and isinstance(right, ast.Constant) and isinstance(right.value, str):
            return [*left, right.value]
    return None


def _named_files(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the files, relative to ROOT, that statements name, and those of named folders."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        parts = _path_parts(node) if isinstance(node, ast.BinOp) else None
        if not parts:
            continue
        name, path = "/".join(parts), ROOT.joinpath(*parts)
        if path.is_file():
            yield name
        elif parts[0] == "resources" and len(parts) > 1 and name not in BY_PARAMETER:
            files = (file for file in path.rglob("*") if file.is_file())
            yield from (file.relative_to(ROOT).as_posix() for file in files)


def _digest(*nodes: ast.AST) -> str:
    text = "".join(ast.dump(node, annotate_fields=False) for node in nodes)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parts_of(name: str, statements: list[ast.stmt]) -> dict[str, str]:
    """Digest a definition by parts that mean something to a reader: methods, and the class."""
    first = statements[0]
    if name == EFFECTS or len(statements) > 1:
        return {name: _digest(*statements)}
    if isinstance(first, ast.ClassDef):
        is_method = [isinstance(item, ast.FunctionDef) for item in first.body]
        parts: dict[str, str] = {}
        for item in (item for item, method in zip(first.body, is_method, strict=True) if method):
            # a property and its setter have one name
            label = f"{name}.{item.name}()"
            parts[label] = parts.get(label, "") + _digest(item)
        rest = [item for item, method in zip(first.body, is_method, strict=True) if not method]
        around = [*first.bases, *first.keywords, *first.decorator_list]
        return parts | {f"class {name}": _digest(*around, *rest)}
    is_function = isinstance(first, ast.FunctionDef | ast.AsyncFunctionDef)
    return {f"{name}()" if is_function else name: _digest(first)}


@dataclass(frozen=True, eq=False)
class Definition:
    """A top-level name of a module: digests by part, and what it uses."""

    parts: dict[str, str]
    chains: frozenset[Chain]
    imports: dict[str, str]
    executed: frozenset[str]
    files: frozenset[str]


@dataclass(eq=False)
class Module:
    """A source file: its statements by the name that they bind, and what its imports bind.

    ``imported`` holds all dotted names that it imports anywhere, ``executed`` those that run when
    it is imported itself.
    """

    path: Path
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    imported: frozenset[str] = frozenset()
    executed: set[str] = field(default_factory=set)
    _definitions: dict[str, Definition] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path from the root of the project; the name alone of a file that lies elsewhere."""
        inside = self.path.is_relative_to(ROOT)
        return self.path.relative_to(ROOT).as_posix() if inside else self.path.name

    def definition(self, name: str) -> Definition:
        """Return the definition of a name; analysed once."""
        if name not in self._definitions:
            statements = [
                kept
                for statement in self.statements[name]
                if (kept := Computation(self.imports).visit(statement)) is not None
            ]
            references = References()
            for statement in statements:
                references.visit(statement)
            self._definitions[name] = Definition(
                _parts_of(name, statements) if statements else {},
                frozenset(references.chains),
                references.imports,
                frozenset(references.executed),
                frozenset(_named_files(statements)),
            )
        return self._definitions[name]


def _tests(node: ast.stmt, name: str) -> bool:
    """Say whether a statement is an ``if`` whose condition names ``name``."""
    return isinstance(node, ast.If) and any(
        isinstance(item, ast.Name) and item.id == name for item in ast.walk(node.test)
    )


@cache
def _read_module(path: Path, mtime_ns: int) -> Module:
    """Parse a source file; cached while it is unchanged."""
    module = Module(path)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # imports for type checkers alone are never carried out
        imports = [
            node
            for statement in tree.body
            if not _tests(statement, "TYPE_CHECKING")
            for node in ast.walk(statement)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        module.imported = frozenset(
            name for node in imports for _, *names in imports_of(node) for name in names
        ) | {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    except SyntaxError as error:
        raise SyntaxError(f"{path}, line {error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from error
    for node in _carried_out(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for local, dotted, executed in imports_of(node):
                module.imports[local] = dotted
                module.executed.add(executed)
            continue
        names = _names_bound_by(node)
        for name in names or [EFFECTS]:
            module.statements.setdefault(name, []).append(node)
    _add_registrations(module)
    return module


def _carried_out(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, without texts and what starts a script."""
    for node in body:
        if _tests(node, "__name__") or _tests(node, "TYPE_CHECKING"):
            yield from _carried_out(node.orelse)
        elif not is_text(node):
            yield node


def _add_registrations(module: Module) -> None:
    """Take what a decorator of the project may register as an effect of the import."""
    for name, statements in [*module.statements.items()]:
        for node in statements if name != EFFECTS else []:
            for decorator in getattr(node, "decorator_list", []):
                first = next(item for item in ast.walk(decorator) if isinstance(item, ast.Name))
                imported = module.imports.get(first.id, "").split(".")[0] == PACKAGE
                if imported or first.id in module.statements:
                    module.statements.setdefault(EFFECTS, []).append(node)


def _names_bound_by(node: ast.stmt) -> list[str]:
    """List the names that a top-level statement binds; none where it does something else too."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    is_assignment = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
    if is_assignment and not any(isinstance(part, ast.NamedExpr) for part in ast.walk(node)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        named = [
            part
            for target in targets
            for part in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])
        ]
        if all(isinstance(part, ast.Name) for part in named):
            return [part.id for part in named]
    return []


class Project:
    """The modules of the package, as its files are now."""

    def __init__(self, files: Iterable[tuple[Path, int]]):
        self._stamps = {_dotted(path): (path, mtime) for path, mtime in files}
        self._resolved: dict[str, tuple[tuple[Module, str], ...]] = {}

    def module(self, dotted: str) -> Module | None:
        """Return a module by its dotted name; None where the project has none of that name."""
        return _read_module(*self._stamps[dotted]) if dotted in self._stamps else None

    def modules_of(self, dotted: str) -> Iterator[Module]:
        """Yield the modules that an import of a dotted name runs: itself and its packages."""
        parts = dotted.split(".")
        for i in range(1, len(parts) + 1) if parts[0] == PACKAGE else ():
            name = ".".join(parts[:i])
            if module := self.module(name):
                yield module

    def resolve(self, dotted: str) -> tuple[tuple[Module, str], ...]:
        """Find the definitions that a dotted name means; all those of a module that it names."""
        if dotted not in self._resolved:
            # names that import each other in a circle mean nothing
            self._resolved[dotted] = ()
            self._resolved[dotted] = tuple(self._definitions_of(dotted))
        return self._resolved[dotted]

    def _definitions_of(self, dotted: str) -> Iterator[tuple[Module, str]]:
        parts = dotted.split(".")
        if parts[0] != PACKAGE or _is_left_out(dotted):
            return
        size = next(i for i in range(len(parts), -1, -1) if not i or self._has(parts[:i]))
        module = self.module(".".join(parts[:size]))
        if module is None:
            return
        name, rest = (parts[size], parts[size + 1 :]) if size < len(parts) else ("", [])
        if name in module.statements:
            yield module, name
        elif name in module.imports:
            yield from self.resolve(".".join([module.imports[name], *rest]))
        else:
            yield from ((module, name) for name in module.statements)
            for target in module.imports.values():
                # a package that is used as a whole stands for what it imports from its modules
                if module.path.name == "__init__.py":
                    yield from self.resolve(target)

    def _has(self, parts: list[str]) -> bool:
        return ".".join(parts) in self._stamps

    def meanings(self, module: Module, definition: Definition) -> dict[Chain, list[str]]:
        """Map the chains of a definition to the dotted names that they may mean by imports."""
        return {
            chain: [
                ".".join([imports[chain[0]], *chain[1:]])
                for imports in (definition.imports, module.imports)
                if chain[0] in imports
            ]
            for chain in definition.chains
        }

    def reached(self, script: Module) -> dict[tuple[Module, str], Definition]:
        """Find all definitions that a script's computation can reach, its own statements first."""
        definitions: dict[tuple[Module, str], Definition] = {}
        executed: set[Module] = set()
        todo = [(script, name) for name in script.statements]

        def execute(module: Module) -> None:
            if module not in executed:
                executed.add(module)
                if EFFECTS in module.statements:
                    todo.append((module, EFFECTS))
                execute_all(module.executed)

        def execute_all(imported: Iterable[str]) -> None:
            for dotted in imported:
                if not _is_left_out(dotted):
                    for module in self.modules_of(dotted):
                        execute(module)

        execute(script)
        while todo:
            module, name = todo.pop()
            if (module, name) in definitions:
                continue
            execute(module)
            definitions[module, name] = definition = module.definition(name)
            execute_all(definition.executed)
            for chain, meanings in self.meanings(module, definition).items():
                if chain[0] in module.statements:
                    todo.append((module, chain[0]))
                elif chain[0] == "globals":
                    todo += [(module, other) for other in module.statements]
                for dotted in meanings:
                    todo += self.resolve(dotted)
        return definitions


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache(maxsize=1)
def _project(files: tuple[tuple[Path, int], ...]) -> Project:
    return Project(files)


def project() -> Project:
    """Return the package as it is now; analysed anew only where a file has changed."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    return _project(tuple((path, path.stat().st_mtime_ns) for path in files))


@cache
def _data_digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def data_digest(path: Path) -> str:
    """Sixteen hexadecimal digits of a file's contents."""
    return _data_digest(path, path.stat().st_mtime_ns)


def _script_module(script: Path) -> Module:
    script = Path(script).resolve()
    return _read_module(script, script.stat().st_mtime_ns)


def imported_files(script: Path) -> dict[Path, frozenset[str]]:
    """Find all files that are imported with a script, in functions too, with what they import.

    Imports for type checkers alone do not count.
    """
    package, todo = project(), [_script_module(script)]
    files: dict[Path, frozenset[str]] = {}
    while todo:
        module = todo.pop()
        if module.path not in files:
            files[module.path] = module.imported
            todo += [other for name in module.imported for other in package.modules_of(name)]
    return files


def fingerprint_parts(script: Path) -> dict[str, dict[str, str]]:
    """Return what :func:`fingerprint` is made of: by file, digests by definition.

    ``imports`` digests what the imported names mean that the definitions use; a data file has the
    digest of its ``contents`` alone.
    """
    package, by_file = project(), {}
    meanings: dict[str, set[str]] = {}
    files: set[str] = set()
    for (module, _), definition in package.reached(_script_module(script)).items():
        if not definition.parts:
            continue
        by_file.setdefault(module.name, {}).update(definition.parts)
        files |= definition.files
        meanings.setdefault(module.name, set()).update(
            f"{chain[0]}={dotted}"
            for chain, names in package.meanings(module, definition).items()
            for dotted in names
            if not _is_left_out(dotted)
        )
    for name, used in meanings.items():
        if used:
            text = "\n".join(sorted(used))
            by_file[name]["imports"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    by_file |= {name: {"contents": data_digest(ROOT / name)} for name in files}
    return {name: dict(sorted(digests.items())) for name, digests in sorted(by_file.items())}


def fingerprint(script: Path) -> str:
    """Sixteen hexadecimal digits that change where what ``script`` computes may change."""
    lines = [
        f"{name} {part} {digest}"
        for name, digests in fingerprint_parts(script).items()
        for part, digest in digests.items()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
