"""A module of the user's that is being read, and the classes that can be found from it."""

from __future__ import annotations

import ast
from pathlib import Path

from pipeflow.config.definitions import bound_in, imported_names
from pipeflow.config.modules import find_module, parse
from pipeflow.config.signature import Place, inherits_unknown
from pipeflow.values import dataclass

#: How many imports are followed to a class.
_MOST_HOPS = 4
#: How many bases are followed from a class.
_MOST_BASES = 8


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
    bound = bound_in(module.tree).get(name, ())
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


def lineage(node: ast.ClassDef, module: OwnModule) -> tuple[list[OwnClass], bool]:
    """The classes that a class inherits from, nearest first, and whether these are all.

    With several bases the order would need all of Python's rules: they are not known then.
    """
    line: list[OwnClass] = []
    while inherits_unknown(node, module.place):
        base = node.bases[0] if len(node.bases) == 1 and not node.keywords else None
        found = find_class(base.id, module) if isinstance(base, ast.Name) else None
        decorated = found and any(
            "dataclass" not in ast.unparse(d) for d in found.node.decorator_list
        )
        if found is None or decorated or len(line) >= _MOST_BASES:
            return line, False
        line.append(found)
        node, module = found.node, found.module
    return line, True


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
