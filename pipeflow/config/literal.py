"""Which values of a file are taken as they are: ``${…}`` is never filled in there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeflow.config.nodes import Node, Scalar, TreePath, at_path
from pipeflow.spec.options import EXPRESSION_TYPES
from pipeflow.spec.stage_type import StageType

#: Keys of a stage under which nothing is filled in.
_OF_A_STAGE = frozenset({"call", "use", "run", "pipeline", "inputs", "from"})


def literal_paths(tree: Node, stage_types: Mapping[str, StageType]) -> Callable[[TreePath], bool]:
    """A predicate on paths of this tree: whether the value there is taken as it is."""

    def is_literal(path: TreePath) -> bool:
        match path:
            case ("stages", _, str() as key, *_) if key in _OF_A_STAGE:
                # The settings of an edge are values like others; what it reads is not.
                return key != "inputs" or len(path) == 3 or _names_a_port(path)
            case ("inputs" | "outputs", *_):
                return True
            case ("tests", _, "expect", _, "each"):
                return True
            case ("stages", _, "partition" | "join", "key", *_):
                return True
            case ("stages", str() as stage, "with", str() as name, *_):
                return _is_expression(tree, stage, name, stage_types)
            case _:
                return False

    return is_literal


def _names_a_port(path: TreePath) -> bool:
    settings = {"transport", "capacity", "overflow", "arrays", "items", "bytes"}
    return path[-1] not in settings


def _is_expression(tree: Node, stage: str, name: str, stage_types: Mapping[str, StageType]) -> bool:
    use = at_path(tree, ("stages", stage, "use"))
    stage_type = stage_types.get(str(use.value)) if isinstance(use, Scalar) else None
    options = stage_type.options if stage_type else ()
    return any(
        option.name == name and not EXPRESSION_TYPES.isdisjoint(option.types) for option in options
    )
