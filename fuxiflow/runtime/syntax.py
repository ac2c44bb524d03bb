"""Syntax trees as fingerprints see them: what computes, and the names that it uses."""

import ast
from collections.abc import Iterable, Iterator

PACKAGE = "fuxiflow"
LOG_METHODS = {"debug", "info", "warning", "error", "exception"}

Chain = tuple[str, ...]
"""A name and the attributes taken of it: ``("np", "random", "default_rng")``."""


def is_text(node: ast.stmt) -> bool:
    """Say whether a statement is a text and nothing else, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str, str]]:
    """Yield what an import binds: the local name, the dotted name it means, the module it runs."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            local = alias.asname or alias.name.split(".")[0]
            yield local, alias.name if alias.asname else local, alias.name
        return
    if node.level or any(alias.name == "*" for alias in node.names):
        kind = "relative import" if node.level else "import of *"
        raise ValueError(
            f"line {node.lineno}: {kind}, which fingerprints do not follow; "
            f"write 'from {PACKAGE}. … import …'"
        )
    for alias in node.names:
        dotted = f"{node.module}.{alias.name}"
        yield alias.asname or alias.name, dotted, dotted


class Computation(ast.NodeTransformer):
    """Takes out of statements, in place, what cannot change what they compute."""

    def __init__(self, imports: dict[str, str]):
        self.imports = imports
        self.in_function = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, also those after constants."""
        return None if is_text(node) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the annotations of a function; a decorator may read them."""
        if not node.decorator_list:
            node.returns = None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
        outside, self.in_function = self.in_function, True
        self.generic_visit(node)
        self.in_function = outside
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Keep the annotations of a class, which may make its fields, in a function too."""
        outside, self.in_function = self.in_function, False
        self.generic_visit(node)
        self.in_function = outside
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Drop the annotations of local variables, which Python does not evaluate."""
        if self.in_function:
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop the texts that go to the log; values that go with them stay."""
        if self._logs(node.func):
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                texts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                for text in texts:
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        text.value = ""
        return self.generic_visit(node)

    def _logs(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute) and function.attr in LOG_METHODS:
            owner = getattr(function.value, "attr", getattr(function.value, "id", ""))
            return owner in ("log", "logger")
        name = getattr(function, "id", "")
        modules = (f"{PACKAGE}.progress.", f"{PACKAGE}.completeness.")
        return self.imports.get(name, "").startswith(modules)


class References(ast.NodeVisitor):
    """Collects the global names that statements use, each with the attributes taken of it."""

    def __init__(self):
        self.chains: set[Chain] = set()
        self.imports: dict[str, str] = {}
        self.executed: set[str] = set()
        self._scopes: list[set[str]] = []

    def _add(self, chain: Chain) -> None:
        if not any(chain[0] in scope for scope in self._scopes):
            self.chains.add(chain)

    def visit_Name(self, node: ast.Name) -> None:
        """Take a name that is not a local variable."""
        self._add((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take ``a.b.c`` as one chain where ``a`` is a name."""
        attributes, value = [], node
        while isinstance(value, ast.Attribute):
            attributes.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self._add((value.id, *reversed(attributes)))
        else:
            self.visit(value)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Keep what an import inside a function binds; under a condition it counts as used."""
        for local, dotted, module in imports_of(node):
            self.imports[local] = dotted
            self.executed.add(module)
            if not self._scopes and dotted.startswith(f"{PACKAGE}."):
                # any of several such imports may have bound the name
                self.imports[PACKAGE] = PACKAGE
                self.chains.add(tuple(dotted.split(".")))

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.Lambda) -> None:
        """Visit what is evaluated outside a function, then its body with its local variables."""
        arguments = node.args
        outside = [*arguments.defaults, *arguments.kw_defaults]
        outside += getattr(node, "decorator_list", [])
        annotated = [item for item in ast.walk(arguments) if isinstance(item, ast.arg)]
        outside += [item.annotation for item in annotated] + [getattr(node, "returns", None)]
        for item in outside:
            if item is not None:
                self.visit(item)
        body = node.body if isinstance(node.body, list) else [node.body]
        self._visit_inside(body, {item.arg for item in annotated} | local_names(body))

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_ListComp(self, node: ast.ListComp) -> None:
        """Visit a comprehension, whose first iterable alone is evaluated outside of it."""
        first, *others = node.generators
        self.visit(first.iter)
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        }
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        conditions = [test for generator in node.generators for test in generator.ifs]
        inside = [*elements, *conditions, *(generator.iter for generator in others)]
        self._visit_inside(inside, targets)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit a class; the types of a plain dataclass' fields are text that nothing evaluates."""
        if not node.bases and any("dataclass" in ast.dump(item) for item in node.decorator_list):
            for item in node.decorator_list:
                self.visit(item)
            for item in node.body:
                if isinstance(item, ast.AnnAssign):
                    if item.value is not None:
                        self.visit(item.value)
                else:
                    self.visit(item)
        else:
            self.generic_visit(node)

    def _visit_inside(self, nodes: Iterable[ast.AST], local: set[str]) -> None:
        self._scopes.append(local)
        for node in nodes:
            self.visit(node)
        self._scopes.pop()


def local_names(body: Iterable[ast.AST]) -> set[str]:
    """Find the local variables of a function: names bound in its body, not in functions within."""
    local, outer = set(), set()
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            local.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            # of what a comprehension binds, a name given by := alone outlives it
            walrus = [item for item in ast.walk(node) if isinstance(item, ast.NamedExpr)]
            local |= {item.target.id for item in walrus}
            continue
        if isinstance(node, ast.Global):
            outer |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            local.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            local.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            local.add(node.rest)
        todo.extend(ast.iter_child_nodes(node))
    return local - outer
