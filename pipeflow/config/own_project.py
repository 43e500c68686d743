"""The functions and classes that files of a folder may call: read from source, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from pipeflow.config.definitions import bindings, binds_in_the_dark, star_imports
from pipeflow.config.modules import find_module, modules_beside, parse
from pipeflow.config.problem import Problem
from pipeflow.config.source import inspect_call
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts
from pipeflow.values import dataclass, field

#: Modules beside the file that hold no stages.
_OTHERS: Final = ("conftest", "setup", "noxfile")
#: So many modules beside a file are looked at; a folder with more is no project.
_MOST_MODULES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What can be called.

    Attributes:
        targets: ``module:attribute`` to what its source says; what an editor should offer.
        names: Module to all names that it has, also those that are no functions of its own; a
            module whose names its source does not tell is not among them.
        modules: All modules that are known to be there.
        plugins: Operator of a plug-in to what the source of its code says.
    """

    targets: Mapping[str, CallFacts]
    names: Mapping[str, frozenset[str]]
    modules: frozenset[str]
    plugins: Mapping[str, CallFacts] = field(default_factory=dict)


def read_project(
    calls: Iterable[str],
    folder: str,
    search_path: Sequence[str],
    plugins: Mapping[str, str] | None = None,
) -> Project:
    """Look at the modules beside a pipeline file, and at those that it calls.

    Args:
        calls: What stands behind ``call:``.
        folder: Folder of the file.
        search_path: Where else modules are looked for.
        plugins: Operator of a plug-in to ``module:attribute``.
    """
    operators = {
        name: facts
        for name, code in (plugins or {}).items()
        if (facts := _inspected(code, folder, search_path)) is not None
    }
    called = list(dict.fromkeys(call.strip() for call in calls))
    beside = list(islice(_beside(folder), _MOST_MODULES))
    modules = list(dict.fromkeys([*beside, *(call.partition(":")[0] for call in called)]))
    names: dict[str, frozenset[str]] = {}
    targets: dict[str, CallFacts] = {}
    there: set[str] = set()
    for module in modules:
        found = find_module(module, folder, search_path)
        if found is None:
            continue
        there.add(module)
        tree = parse(found.path) if found.path is not None else None
        if not isinstance(tree, ast.Module):
            continue
        if not (binds_in_the_dark(tree) or star_imports(tree)):
            names[module] = frozenset(one.name for one in bindings(tree.body))
        for call in _public(tree, module):
            facts = _inspected(call, folder, search_path)
            # A class that takes no items, or an enumeration, is nothing to offer.
            if facts is not None and (facts.shape is not Shape.UNKNOWN or facts.name):
                targets[call] = facts
        for call in called:
            facts = _inspected(call, folder, search_path) if _is_in(call, module) else None
            if facts is not None:
                targets[call] = facts
    return Project(targets=targets, names=names, modules=frozenset(there), plugins=operators)


def _inspected(call: str, folder: str, search_path: Sequence[str]) -> CallFacts | None:
    found = inspect_call(call, folder, search_path)
    return None if isinstance(found, Problem) else found.facts


def _is_in(call: str, module: str) -> bool:
    return call.partition(":")[0] == module


def _beside(folder: str) -> Iterator[str]:
    """The modules beside the file, and those of the packages beside it."""
    for name in modules_beside(folder):
        if not _may_hold_stages(name):
            continue
        yield name
        for inner in modules_beside(str(Path(folder) / name)):
            if _may_hold_stages(inner):
                yield f"{name}.{inner}"


def _may_hold_stages(module: str) -> bool:
    return module not in _OTHERS and not module.startswith(("test_", "_"))


def _public(tree: ast.Module, module: str) -> Iterator[str]:
    """Functions and classes that the module itself defines, as calls."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for one in bindings(tree.body):
        if isinstance(one.statement, kinds) and not one.name.startswith("_"):
            yield f"{module}:{one.name}"
