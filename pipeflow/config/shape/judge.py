"""Which mistakes of shape a tree has.

``jsonschema`` is asked when a tree is not plainly right (``accept``): then it has something to say.

Each mistake earns one finding, at the key or the value that is wrong. What a schema cannot say (a
duration's unit, an expression's syntax, a function's parameters) is left to ``build``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from pipeflow.config.nodes import Map, Scalar, TreePath, at_path, plain, walk
from pipeflow.config.readings import other_readings, with_readings
from pipeflow.config.schema.filled_in import without_references
from pipeflow.config.schema.own import Own
from pipeflow.config.schema.root import definitions, pipeline_schema, root_schema
from pipeflow.config.shape.accept import accepts
from pipeflow.errors import Finding, Location
from pipeflow.spec.stage_type import StageType
from pipeflow.values import dataclass

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

#: Which of several violations of one value is told: the first of these that it has.
_WEIGHT: Final = ("type", "enum", "const", "pattern", "minimum", "maximum", "minItems")

#: Codes of findings about a key: they say nothing of its value.
_ABOUT_KEYS: Final = frozenset({"unknown-key", "unknown-parameter", "missing-key", "bad-name"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What the schema says of a tree.

    Attributes:
        tree: The tree, with texts from outside turned into the numbers that are due.
        findings: One for each mistake.
        wrong: Paths of values that must not be looked at any more.
    """

    tree: Map
    findings: tuple[Finding, ...]
    wrong: frozenset[TreePath]


def check_shape(tree: Map, stage_types: Mapping[str, StageType]) -> Shape:
    """Judge a whole tree; never raises, whatever the tree holds."""
    errors = _errors(stage_types, tree)
    readings = other_readings(tree, (tuple(error.absolute_path) for error in errors))
    if readings:
        changed = with_readings(tree, readings)
        assert isinstance(changed, Map)
        tree = changed
        errors = _errors(stage_types, tree)
    # What could not be read has had its finding.
    broken = frozenset(
        path for path, node in walk(tree) if isinstance(node, Scalar) and node.broken
    )
    if not errors:
        return Shape(tree, (), broken)
    from pipeflow.config.shape.declared import Declared  # most files have no mistakes
    from pipeflow.config.shape.retelling import retell

    declared = Declared(tree, stage_types)
    findings: dict[tuple[Location, str], Finding] = {}
    wrong: set[TreePath] = set(broken)
    for error in sorted(errors, key=_weight):
        path = tuple(error.absolute_path)
        for bad, finding in retell(declared, path, error):
            if bad in broken or (bad in wrong and finding.code not in _ABOUT_KEYS):
                continue
            if finding.code not in _ABOUT_KEYS and _reads_badly_named(tree, bad):
                wrong.add(bad)
                continue
            findings.setdefault((finding.at, finding.problem), finding)
            wrong.add(bad)
    return Shape(tree, tuple(findings.values()), frozenset(wrong))


def _reads_badly_named(tree: Map, path: TreePath) -> bool:
    """Whether a wrong input is right but for the name of its stage, which has its own finding."""
    node, stages = at_path(tree, path), tree.get("stages")
    inside = path[0:1] == ("stages",) and path[2:3] == ("inputs",)
    return inside and isinstance(node, Scalar) and isinstance(stages, Map) and node.text in stages


class _Types:
    """Operators as the key of a cache: the same mapping gives the same validator."""

    def __init__(self, stage_types: Mapping[str, StageType]) -> None:
        self.stage_types = stage_types
        self._key = tuple(sorted(stage_types.items(), key=lambda pair: pair[0]))

    def __hash__(self) -> int:
        return hash(tuple(name for name, _ in self._key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Types) and self._key == other._key


def _errors(stage_types: Mapping[str, StageType], tree: Map) -> list[ValidationError]:
    """What the schema says against a tree."""
    value = plain(tree)
    used = _used(value)
    # A schema of the operators that the file uses is made faster, and accepts the same of it.
    if all(name in stage_types for name in used):
        few = {name: stage_types[name] for name in used}
        if accepts(lean_schema(few), value):
            return []
    return list(_validator(_Types(stage_types)).iter_errors(value))


def _used(value: object) -> set[str]:
    """Names behind ``use``, whatever else the value of a file holds."""
    stages = value.get("stages") if isinstance(value, dict) else None
    each = stages.values() if isinstance(stages, dict) else ()
    names = [stage.get("use") for stage in each if isinstance(stage, dict)]
    return {name for name in names if isinstance(name, str)}


def lean_schema(stage_types: Mapping[str, StageType]) -> Mapping[str, Any]:
    """The schema for ``accepts``: each definition is made when it is first referred to."""
    return _lean_schema(_Types(stage_types))


@lru_cache(maxsize=64)
def _lean_schema(types: _Types) -> Mapping[str, Any]:
    own = Own()
    made = _Definitions(definitions(types.stage_types, own))
    return {**without_references(root_schema(own)), "definitions": made}


class _Definitions(dict[str, Any]):
    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__()
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        made = self[name] = without_references(self._makers[name]())
        return made


@cache
def _validator(types: _Types) -> Any:
    import referencing
    from jsonschema import Draft7Validator

    schema = without_references(pipeline_schema(types.stage_types))
    # A registry without a way to retrieve: a $ref to the network is an error, never a request.
    return Draft7Validator(schema, registry=referencing.Registry[Any]())


def _weight(error: ValidationError) -> tuple[int, int]:
    name = str(error.validator)
    rank = _WEIGHT.index(name) if name in _WEIGHT else len(_WEIGHT)
    return len(error.absolute_path), rank
