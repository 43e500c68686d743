"""Declared: what the language and the operators have to say of a place in a tree."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.config.nodes import Node, Scalar, TreePath, at_path
from pipeflow.config.shape.wording import table_at
from pipeflow.spec.options import Option
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """A tree, and the operators that its stages may use.

    Attributes:
        tree: The whole file.
        stage_types: Operators by name.
    """

    tree: Node
    stage_types: Mapping[str, StageType]

    def operator(self, path: TreePath) -> str:
        """Name of the operator of the stage in which a path lies; empty if it has none."""
        node = at_path(self.tree, (*path[:2], "use"))
        return str(node.value) if isinstance(node, Scalar) else ""

    def parameters(self, path: TreePath) -> tuple[Option, ...]:
        """Parameters of that operator; none if there is no such operator."""
        stage_type = self.stage_types.get(self.operator(path))
        return stage_type.options if stage_type else ()

    def option_at(self, path: TreePath) -> Option | None:
        """The declaration of the value at a path, if it is one of a table or an operator."""
        if not path or not isinstance(path[-1], str):
            return None
        if len(path) == 4 and path[0] == "stages" and path[2] == "with":
            options = self.parameters(path)
            return next((option for option in options if option.name == path[-1]), None)
        table = table_at(path[:-1])
        return table.option(path[-1]) if table else None
