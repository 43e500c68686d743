"""A module of the user's that is being read, and the classes that can be found from it."""

from __future__ import annotations

import ast
from pathlib import Path

from pipeflow.config.definitions import bindings, imported_names
from pipeflow.config.modules import find_module, parse
from pipeflow.config.signature import Place
from pipeflow.values import dataclass

#: How many imports are followed to a class.
_MOST_HOPS = 4


@dataclass(frozen=True, slots=True)
class Where:
    """Where modules are looked for.

    Attributes:
        folder: Of the pipeline file: the first place.
        search_path: The places behind it.
    """

    folder: str
    search_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module that is being read.

    Attributes:
        tree: Its source.
        path: The file of the source.
        name: Its dotted name.
        place: How its definitions are shown.
        where: Where the modules that it imports are looked for.
    """

    tree: ast.Module
    path: Path
    name: str
    place: Place
    where: Where


@dataclass(frozen=True, slots=True)
class OwnClass:
    """A class, and the module that defines it."""

    node: ast.ClassDef
    module: OwnModule


def find_class(name: str, module: OwnModule, hops: int = _MOST_HOPS) -> OwnClass | None:
    """The class that a plain name surely means in a module; follows imports beside the file."""
    bound = [one for one in bindings(module.tree.body) if one.name == name]
    if len(bound) != 1 or bound[0].conditional:
        return None
    match bound[0].statement:
        case ast.ClassDef() as node:
            return OwnClass(node, module)
        case ast.ImportFrom() as node if hops:
            other = imported_module(node, module)
            original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
            return find_class(original, other, hops - 1) if other else None
        case _:
            return None


def imported_module(node: ast.ImportFrom, module: OwnModule) -> OwnModule | None:
    """The module that ``from x import y`` reads, if it lies beside the pipeline file."""
    target = absolute(node, module)
    found = find_module(target, module.where.folder, ()) if target else None
    if found is None or found.path is None or found.path == module.path:
        return None
    tree = parse(found.path)
    if not isinstance(tree, ast.Module):
        return None
    place = Place(found.path.name, imported_names(tree))
    return OwnModule(tree, found.path, target, place, module.where)


def absolute(node: ast.ImportFrom, module: OwnModule) -> str:
    """The dotted name of the module that is imported from; empty if it lies outside of all."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    levels = node.level - (module.path.name == "__init__.py")
    if levels > len(package) - 1 and levels:
        return ""
    kept = package[: len(package) - levels] if levels else package
    return ".".join([*kept, node.module] if node.module else kept)
