"""What a ``call: module:attribute`` target is, read from its source; nothing is ever imported.

What the source does not show for sure is unknown, never wrong: re-exports, decorators,
conditional definitions and ``__getattr__`` make names that no reader can follow to the end.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeflow.config.definitions import (
    Binding,
    bindings,
    binds_in_the_dark,
    bound_in,
    dotted,
    imported_names,
    star_imports,
)
from pipeflow.config.modules import Found, Unreadable, find_module, modules_beside, parse
from pipeflow.config.own_module import OwnModule, Where, absolute, lineage
from pipeflow.config.own_types import spelled_out
from pipeflow.config.problem import Problem
from pipeflow.config.signature import (
    Place,
    class_facts,
    function_facts,
    inherits_unknown,
    lambda_facts,
    takes_no_items,
    unknown,
)
from pipeflow.errors import Severity
from pipeflow.spec.stage_type import CallFacts
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace

#: How many re-exports are followed.
_MOST_HOPS: Final = 8
_MOST_NAMES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is known of a target.

    Attributes:
        facts: What its source says.
        problems: Doubts about it; they are warnings.
    """

    facts: CallFacts
    problems: tuple[Problem, ...] = ()


def inspect_call(text: str, folder: str, search_path: Sequence[str]) -> Inspected | Problem:
    """What ``module:attribute`` is, or what is wrong with it.

    Args:
        text: What stands behind ``call:``.
        folder: Folder of the pipeline file: modules are looked for there first.
        search_path: Where they are looked for then, as ``sys.path`` has it.
    """
    where = Where(folder, tuple(search_path))
    module, colon, attribute = text.strip().partition(":")
    if not colon or not _is_dotted(module) or not _is_dotted(attribute):
        return _bad_form(text, where)
    found = find_module(module, folder, search_path)
    if found is None:
        if module.endswith(".py"):
            return _bad_form(text, where)
        if _may_appear(module, where):
            return Inspected(facts=CallFacts())
        return _no_module(module, where)
    doubts = tuple(_hides(module, found, folder))
    if found.path is None:
        return Inspected(facts=CallFacts(), problems=doubts)
    facts = _look_up(found.path, module, attribute, where, _MOST_HOPS)
    return facts if isinstance(facts, Problem) else Inspected(facts=facts, problems=doubts)


def hidden_modules(folder: str) -> tuple[Problem, ...]:
    """A doubt for every module beside the file that hides one of Python's own."""
    hidden = (name for name in modules_beside(folder) if name in sys.stdlib_module_names)
    return tuple(_hiding(name) for name in hidden)


def _look_up(
    path: Path, module: str, attribute: str, where: Where, hops: int
) -> CallFacts | Problem:
    tree = parse(path)
    shown = _shown(path, where)
    if isinstance(tree, Unreadable):
        return Problem(
            code="python-syntax",
            problem=f"{shown}:{tree.line}: {tree.reason}",
            hint="the module cannot be imported before that is mended",
        )
    place = Place(shown, imported_names(tree))
    name, _, inner = attribute.partition(".")
    bound = bound_in(tree).get(name, ())
    if bound:
        return _facts_of(bound, inner, OwnModule(tree, path, module, place, where), hops)
    if binds_in_the_dark(tree):
        return unknown(place, 0)
    stars = star_imports(tree)
    for star in stars:
        facts = _imported(star, attribute, OwnModule(tree, path, module, place, where), hops)
        if facts.line:
            return facts
    if stars or (
        path.name == "__init__.py"
        and find_module(f"{module}.{name}", where.folder, where.search_path)
    ):
        return unknown(place, 0)
    return _no_attribute(tree, name, shown)


def _facts_of(
    bound: Sequence[Binding], inner: str, module: OwnModule, hops: int
) -> CallFacts | Problem:
    bound = [one for one in bound if not _is_overload(one, module)] or bound
    last = bound[-1]
    line = last.statement.lineno
    if len(bound) > 1 and last.conditional:
        # Which of them it is shows only when it runs.
        return unknown(module.place, line)
    if inner:
        return _inside_class(last, inner, module)
    match last.statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() as node:
            return spelled_out(function_facts(node, module.place), module)
        case ast.ClassDef() as node:
            return _class(node, module)
        case ast.ImportFrom() as node:
            return _imported(node, last.name, module, hops)
        case (
            ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value)
        ):
            return _assigned(value, line, module, hops)
        case _:
            return unknown(module.place, line)


def _class(node: ast.ClassDef, module: OwnModule) -> CallFacts | Problem:
    bases, whole = lineage(node, module)
    if whole and takes_no_items([node, *(base.node for base in bases)], module.place):
        return Problem(
            code="not-callable",
            problem=f"class {node.name} has no __call__: its objects take no items",
            hint=f"give it 'def __call__(self, item)'; {module.place.file}:{node.lineno}",
        )
    facts = class_facts(node, module.place, [base.node for base in bases], whole=whole)
    in_one_module = all(base.module.path == module.path for base in bases)
    # Names in annotations mean what the module of their class imports.
    return spelled_out(facts, module) if in_one_module else facts


def _assigned(value: ast.expr, line: int, module: OwnModule, hops: int) -> CallFacts | Problem:
    match value:
        case ast.Lambda():
            return lambda_facts(value, module.place)
        case ast.Name(id=name) if hops:
            everywhere = bound_in(module.tree).get(name, ())
            bound = [one for one in everywhere if one.statement.lineno < line]
            if bound:
                return _facts_of(bound, "", module, hops - 1)
        case ast.Constant() | ast.List() | ast.Dict() | ast.JoinedStr():
            return Problem(
                code="not-callable",
                problem=f"{module.place.file}:{line} is a value, and cannot be called",
                hint="name a function or a class",
            )
        case _:
            pass
    return unknown(module.place, line)


def _imported(node: ast.ImportFrom, attribute: str, module: OwnModule, hops: int) -> CallFacts:
    """Follow ``from x import y`` to modules beside the file; others stay unknown."""
    nothing = unknown(module.place, 0 if node.names[0].name == "*" else node.lineno)
    name, _, inner = attribute.partition(".")
    original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
    target = absolute(node, module)
    if not hops or not target:
        return nothing
    found = find_module(target, module.where.folder, ())
    if found is None or found.path is None or found.path == module.path:
        return nothing
    full = f"{original}.{inner}" if inner else original
    facts = _look_up(found.path, target, full, module.where, hops - 1)
    # A problem there may be none at run time: only what is seen for sure counts.
    return nothing if isinstance(facts, Problem) else facts


def _inside_class(last: Binding, inner: str, module: OwnModule) -> CallFacts | Problem:
    """``Class.method``: a static method is a function; others need an object or a class."""
    statement = last.statement
    if not isinstance(statement, ast.ClassDef):
        return unknown(module.place, statement.lineno)
    name, _, deeper = inner.partition(".")
    bound = [one for one in bindings(statement.body) if one.name == name]
    if bound:
        node = bound[-1].statement
        if deeper or len(bound) > 1 or not isinstance(node, ast.FunctionDef):
            return unknown(module.place, node.lineno)
        decorators = {dotted(one, module.place.imported) for one in node.decorator_list}
        if decorators == {"classmethod"}:
            plain = _without_decorators(node)
            return function_facts(plain, module.place, skip_first=True)
        if decorators == {"staticmethod"}:
            return function_facts(node, module.place)
        return unknown(module.place, node.lineno)
    if inherits_unknown(statement, module.place) or statement.decorator_list:
        return unknown(module.place, statement.lineno)
    known = sorted({one.name for one in bindings(statement.body)})
    near = did_you_mean(name, known)
    return Problem(
        code="unknown-attribute",
        problem=f"{module.place.file}: class {last.name} has no '{name}'",
        hint=f"did you mean '{near}'?" if near else "it has: " + ", ".join(known[:_MOST_NAMES]),
    )


def _without_decorators(node: ast.FunctionDef) -> ast.FunctionDef:
    fields = {name: getattr(node, name) for name in node._fields}
    bare = ast.FunctionDef(**{**fields, "decorator_list": []})
    return ast.copy_location(bare, node)


def _is_overload(binding: Binding, module: OwnModule) -> bool:
    match binding.statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() as node:
            names = {dotted(one, module.place.imported) for one in node.decorator_list}
            return bool(names & {"typing.overload", "typing_extensions.overload"})
        case _:
            return False


def _may_appear(module: str, where: Where) -> bool:
    """Whether a missing submodule may be put in place at run time, as ``os.path`` is."""
    head, _, _ = module.rpartition(".")
    if not head:
        return False
    found = find_module(head, where.folder, where.search_path)
    if found is None:
        return _may_appear(head, where)
    tree = parse(found.path) if found.path else None
    return not isinstance(tree, ast.Module) or binds_in_the_dark(tree)


def _is_dotted(name: str) -> bool:
    return bool(name) and all(part.isidentifier() for part in name.split("."))


def _bad_form(text: str, where: Where) -> Problem:
    stripped = text.strip().removesuffix("()").replace("::", ":")
    module, _, attribute = stripped.replace(":", ".", 1).rpartition(".")
    path = stripped.removesuffix(".py").replace("/", ".").strip(".")
    hint = "call: module:function"
    head, _, tail = stripped.rpartition(":")
    meant = head.removesuffix(".py").replace("/", ".").strip(".")
    if "${" in text:
        hint = "${…} is not filled in here; write module and function, and `enabled` to choose"
    elif "\\" in head or stripped.startswith(("/", "~")):
        hint = "a module has no folder here: put it beside this file, or install it"
    elif _is_dotted(meant) and _is_dotted(tail):
        hint = f"call: {meant}:{tail}"
    elif _is_dotted(path) and (names := _functions_in(path, where)):
        hint = f"functions in {path}.py: {', '.join(names)}"
    elif _is_dotted(module) and _is_dotted(attribute) and ":" not in stripped:
        hint = f"call: {module}:{attribute}"
    problem = f"expected 'module:function', got \"{text.strip()[:80]}\""
    return Problem(code="bad-call", problem=problem, hint=hint)


def _functions_in(module: str, where: Where) -> list[str]:
    found = find_module(module, where.folder, where.search_path)
    tree = parse(found.path) if found and found.path else None
    return _public_names(tree)[:_MOST_NAMES] if isinstance(tree, ast.Module) else []


def _public_names(tree: ast.Module) -> list[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [one.name for one in bindings(tree.body) if isinstance(one.statement, kinds)]
    return list(dict.fromkeys(name for name in names if not name.startswith("_")))


def _no_module(module: str, where: Where) -> Problem:
    beside = list(modules_beside(where.folder))
    head, _, last = module.rpartition(".")
    if head and (found := find_module(head, where.folder, where.search_path)) and found.path:
        inside = [f"{head}.{name}" for name in modules_beside(str(found.path.parent))]
        near = did_you_mean(module, inside)
        shown = f"did you mean '{near}'? " if near else ""
        if found.path.name != "__init__.py":
            problem = f"no module '{module}': {_shown(found.path, where)} is no package"
            hint = f"call: {head}:{last}" if last in _functions_in(head, where) else ""
            return Problem(code="unknown-module", problem=problem, hint=hint)
        return Problem(
            code="unknown-module",
            problem=f"no module '{last}' in {head}",
            hint=f"{shown}looked in: {_shown(found.path.parent, where)}",
        )
    near = did_you_mean(module, beside)
    meant = f"did you mean '{near}' ({near}.py beside this file)? " if near else ""
    hint = f"{meant}looked in: the file's folder, and the path of Python"
    return Problem(code="unknown-module", problem=f"no module '{module}'", hint=hint)


def _no_attribute(tree: ast.Module, name: str, shown: str) -> Problem:
    bound = {one.name: one.statement.lineno for one in bindings(tree.body)}
    public = _public_names(tree)
    # A function is what was meant most likely; then anything that has a name.
    near = did_you_mean(name, public) or did_you_mean(name, bound)
    if near:
        hint = f"did you mean '{near}' (line {bound[near]})?"
    elif public:
        hint = f"it has: {', '.join(public[:_MOST_NAMES])}"
    else:
        hint = "it has no functions"
    problem = f"{shown} has no function '{name}'"
    return Problem(code="unknown-attribute", problem=problem, hint=hint)


def _hides(module: str, found: Found, folder: str) -> Sequence[Problem]:
    top = module.split(".", maxsplit=1)[0]
    beside = found.path is not None and found.root == Path(folder)
    return (_hiding(top),) if beside and top in sys.stdlib_module_names else ()


def _hiding(name: str) -> Problem:
    return replace(
        Problem(
            code="hidden-module",
            problem=f"the module '{name}' beside this file hides Python's own '{name}'",
            hint="give the file another name",
        ),
        severity=Severity.WARNING,
    )


def _shown(path: Path, where: Where) -> str:
    """A path as people know it: from the pipeline's folder, or from where Python found it."""
    for root in (where.folder, *where.search_path):
        try:
            return str(path.resolve().relative_to(Path(root).resolve()))
        except (ValueError, OSError):
            continue  # it lies elsewhere
    return os.fspath(path)
