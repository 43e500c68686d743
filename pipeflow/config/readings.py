"""Other readings of values that came from outside as text, where their form does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath, at_path
from pipeflow.config.scalars import reread
from pipeflow.values import replace


def other_readings(tree: Node, paths: Iterable[TreePath]) -> dict[TreePath, Scalar]:
    """Other readings of what came from the environment or the command line and does not fit."""
    found: dict[TreePath, Scalar] = {}
    for path in paths:
        node = at_path(tree, path)
        if not isinstance(node, Scalar) or not node.from_text:
            continue
        if not isinstance(node.value, str):
            found[path] = replace(node, value=node.text)
            continue
        read = reread(node)
        if isinstance(read, Scalar) and not isinstance(read.value, str):
            found[path] = read
    return found


def with_readings(node: Node, new: Mapping[TreePath, Node], path: TreePath = ()) -> Node:
    """The tree with other nodes at some paths."""
    if path in new:
        return new[path]
    match node:
        case Map():
            entries = tuple(
                replace(entry, value=with_readings(entry.value, new, (*path, entry.key)))
                for entry in node.entries
            )
            return replace(node, entries=entries)
        case Seq():
            items = tuple(
                with_readings(item, new, (*path, index)) for index, item in enumerate(node.items)
            )
            return replace(node, items=items)
        case Scalar():
            return node
