"""Do the annotations of who gives an item and of who takes it contradict each other?

Careful: only what surely cannot be is told. Names that are not known here fit anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pipeflow.errors import Finding, Severity
from pipeflow.planner.graph import Network
from pipeflow.spec.pipeline import Call, Edge, Stage, Use
from pipeflow.spec.ports import ERRORS, OUT
from pipeflow.spec.program import ItemFormat, Program, ProgramMode
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts, Parameter
from pipeflow.values import dataclass

_STREAMS: Final = frozenset(
    {"Iterator", "Generator", "Iterable", "AsyncIterator", "AsyncGenerator", "AsyncIterable"}
)
_LISTS: Final = frozenset({"list", "Sequence"})
_WHOLE: Final = frozenset({"list", "set", "frozenset", "tuple", "Sequence"})

#: What each type lets in beside itself.
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(others.split())
    for name, others in {
        "bool": "",
        "int": "bool",
        "float": "int bool",
        "complex": "float int bool",
        "str": "",
        "bytes": "",
        "bytearray": "",
        "list": "",
        "tuple": "",
        "set": "",
        "frozenset": "",
        "dict": "",
        "Path": "PosixPath",
        "PosixPath": "",
        "PurePath": "Path PosixPath",
        "date": "datetime",
        "datetime": "",
        "time": "",
        "timedelta": "",
        "Decimal": "",
        "UUID": "",
        "ndarray": "",
    }.items()
}
_SPELLED: Final = {
    "List": "list",
    "Dict": "dict",
    "Tuple": "tuple",
    "Set": "set",
    "FrozenSet": "frozenset",
    "NDArray": "ndarray",
}


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of an edge: what it says an item is, as text and as tree, and where."""

    text: str
    tree: ast.expr
    place: str


def item_types(network: Network) -> Iterator[Finding]:
    """Edges whose two ends say that an item is something else."""
    for stage in network.stages.values():
        for edge in stage.edges:
            gives = _given(network.stages[edge.source.stage], edge.source.port)
            takes = _taken(stage, edge)
            if gives is not None and takes is not None and _contradict(gives.tree, takes.tree):
                yield _finding(stage, edge, gives, takes)


def _finding(stage: Stage, edge: Edge, gives: _Side, takes: _Side) -> Finding:
    return Finding(
        at=edge.at,
        code="item-types",
        problem=f"'{edge.source}' gives {gives.text} ({gives.place}), "
        f"but stage '{stage.name}' takes {takes.text} ({takes.place})",
        hint="put a stage between that turns one into the other, or mend the annotation that is "
        "wrong",
        severity=Severity.WARNING,
        length=len(str(edge.source)),
    )


def _given(stage: Stage, port: str) -> _Side | None:
    """What leaves a port; ``None`` where that is not known."""
    match stage.work:
        case Use(operator=operator) if operator.gives and port == OUT:
            return _side(operator.gives, operator.gives, f"operator '{operator.name}'")
        case _ if port == ERRORS:
            return _side("dict", "dict", "a dead letter")
        case Call(facts=facts) if port == OUT:
            side = _side(facts.returns, facts.returns_resolved, _where(facts))
            if stage.batch is not None:
                return _of_list(side)
            return None if side is None else _one_result(side, facts, source=not stage.edges)
        case Program(mode=mode, format=form) if port == OUT:
            raw = mode is ProgramMode.EACH and form is None
            kind = "bytes" if raw else "str" if form is ItemFormat.LINES else ""
            return _side(kind, kind, f"program '{stage.work.name}'") if kind else None
        case _:
            return None


def _one_result(side: _Side, facts: CallFacts, *, source: bool) -> _Side | None:
    """What one of its results is: of an iterator its members, of ``X | None`` the ``X``."""
    name, inside = _generic(side.tree)
    streams = facts.shape in {Shape.GENERATOR, Shape.STREAM} or bool(facts.yields)
    if name in _STREAMS:
        if not inside or (name == "Iterable" and not (streams or source)):
            return None  # any iterable object may be one item
        return _of_stream(side, inside[0])
    if streams or (source and name in _WHOLE):
        return None
    return side


def _of_list(side: _Side | None) -> _Side | None:
    """One item of a batch; ``None`` where the annotation does not tell."""
    if side is None:
        return None
    name, inside = _generic(side.tree)
    return _of_stream(side, inside[0]) if name in _LISTS | _STREAMS and inside else None


def _of_stream(side: _Side, member: ast.expr) -> _Side:
    """One item of a stream; with own classes resolved it could not be shown."""
    shown = ast.unparse(member)
    return _Side(side.text if "Own[" in shown else shown, member, side.place)


def _taken(stage: Stage, edge: Edge) -> _Side | None:
    if not isinstance(stage.work, Call):
        return None
    facts = stage.work.facts
    parameter = _parameter(facts, edge)
    if parameter is None:
        return None
    side = _side(parameter.annotation, parameter.resolved, _where(facts))
    if stage.batch is not None:
        return _of_list(side)
    if side is None or facts.shape is not Shape.STREAM:
        return side
    name, inside = _generic(side.tree)
    return _of_stream(side, inside[0]) if name in _STREAMS and inside else None


def _parameter(facts: CallFacts, edge: Edge) -> Parameter | None:
    """The parameter that gets the item; ``None`` if reading cannot tell."""
    takers: Sequence[Parameter] = facts.parameters
    if facts.item_parameters or facts.is_class:
        takers = facts.item_parameters
    if edge.input:
        return next((one for one in takers if one.name == edge.input), None)
    return next((one for one in takers if one.positional), None)


def _where(facts: CallFacts) -> str:
    return f"{facts.file}:{facts.line}"


def _side(text: str, resolved: str, place: str) -> _Side | None:
    if not resolved:
        return None
    return _Side(text, ast.parse(resolved, mode="eval").body, place)


def _contradict(gives: ast.expr, takes: ast.expr) -> bool:
    """Whether no value is both; of a union every member must contradict every other."""
    some = [one for one in _members(gives) if not _is_none(one)]
    return bool(some) and all(_differ(one, other) for one in some for other in _members(takes))


def _differ(gives: ast.expr, takes: ast.expr) -> bool:
    own, other = _own(gives), _own(takes)
    if own and other:
        # A base may well be the class below it when it runs.
        return own[0] not in other and other[0] not in own
    one, inside = _generic(gives)
    two, others = _generic(takes)
    if own or other:
        return (one in _TAKES) or (two in _TAKES) or _is_none(takes)
    if _is_none(takes):
        return one in _TAKES
    if one not in _TAKES or two not in _TAKES:
        return False
    if one != two:
        return one not in _TAKES[two]
    return len(inside) == len(others) and any(
        _contradict(a, b) for a, b in zip(inside, others, strict=True)
    )


def _members(tree: ast.expr) -> list[ast.expr]:
    match tree:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_members(left), *_members(right)]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inside):
            return [*_members(inside), ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=several)):
            return [member for one in several for member in _members(one)]
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return _members(first)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inside):
            literals = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return [_type_of(literal) for literal in literals]
        case _:
            return [tree]


def _type_of(value: ast.expr) -> ast.expr:
    """The type of one value of a ``Literal``."""
    if isinstance(value, ast.Constant) and value.value is not None:
        return ast.Name(type(value.value).__name__)
    return ast.Name("Any")


def _generic(tree: ast.expr) -> tuple[str, Sequence[ast.expr]]:
    """``list`` and its members of ``list[int]``; the name alone of anything else."""
    match tree:
        case ast.Subscript(value=base, slice=inside):
            name, _ = _generic(base)
            members = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            # What is in the brackets of an array is no type of its members.
            return name, ([] if name == "ndarray" else members)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _SPELLED.get(name, name), []
        case _:
            return "", []


def _own(tree: ast.expr) -> list[str]:
    """A class of the user's own and all that it inherits from; empty for anything else."""
    match tree:
        case ast.Subscript(value=ast.Name(id="Own"), slice=ast.Tuple(elts=line)):
            return [str(one.value) for one in line if isinstance(one, ast.Constant)]
        case _:
            return []


def _is_none(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Constant) and tree.value is None
