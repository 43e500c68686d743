"""From ``shared`` to ``Shared`` values; who uses them is the planner's to judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Scalar, Seq
from pipeflow.config.problem import Problem
from pipeflow.spec.shared import VALUE_DTYPES, Shared, SharedKind, misfit
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

#: The keys beside ``type`` that each kind has.
_KEYS: Final = {
    SharedKind.DICT: (),
    SharedKind.LIST: (),
    SharedKind.VALUE: ("dtype", "value"),
    SharedKind.ARRAY: ("dtype", "shape", "value"),
}

#: Most elements of an array: more is surely a slip.
_MOST_ELEMENTS: Final = 2**40


def read_shared(root: Cursor) -> tuple[Shared, ...]:
    """The shared state of a file, as far as its shape is right."""
    block = root.inner("shared")
    return () if block is None else tuple(_all(block))


def _all(block: Cursor) -> Iterator[Shared]:
    for entry in block.entries():
        if not isinstance(entry.value, Map):
            continue
        cursor = block.at(entry.value, entry.key)
        kind = cursor.text("type")
        if kind not in {each.value for each in SharedKind}:
            continue  # has had its finding
        shared = Shared(name=entry.key, kind=SharedKind(kind), at=entry.key_at)
        if _has_only_its_own(cursor, shared.kind):
            yield _with_start(cursor, _with_shape(cursor, _with_dtype(cursor, shared)))


def _has_only_its_own(cursor: Cursor, kind: SharedKind) -> bool:
    """Whether there are no keys of another kind; those are told."""
    own = _KEYS[kind]
    strange = [entry for entry in cursor.entries() if entry.key not in {"type", *own}]
    for entry in strange:
        cursor.findings.error(
            entry,
            "unknown-key",
            f"a shared {kind.value} has no '{entry.key}'",
            f"it takes: type, {', '.join(own)}" if own else f"write {{type: {kind.value}}}",
        )
    return not strange


def _with_dtype(cursor: Cursor, shared: Shared) -> Shared:
    """The element type: floats where none is given, or whole numbers if the value is one."""
    node, start = cursor.get("dtype"), cursor.get("value")
    if isinstance(node, Scalar):
        dtype = cursor.text("dtype")
        if shared.kind is SharedKind.VALUE and dtype not in VALUE_DTYPES:
            near = did_you_mean(dtype.replace("complex", "float"), VALUE_DTYPES)
            cursor.findings.error(
                node,
                "bad-value",
                f"a shared value cannot be {dtype}",
                f"did you mean '{near}'? An array may be complex",
            )
            return replace(shared, dtype="float64")
        return replace(shared, dtype=dtype or shared.dtype)
    if isinstance(start, Scalar) and isinstance(start.value, bool):
        return replace(shared, dtype="bool")
    whole = isinstance(start, Scalar) and isinstance(start.value, int)
    return replace(shared, dtype="int64") if whole else shared


def _with_shape(cursor: Cursor, shared: Shared) -> Shared:
    node = cursor.get("shape")
    if shared.kind is not SharedKind.ARRAY:
        return shared
    match node:
        case Seq():
            axes = [item.value for item in node.items if isinstance(item, Scalar)]
            shape = tuple(int(each) for each in axes if isinstance(each, int | float))
        case Scalar():
            length = cursor.integer("shape")
            shape = () if length is None else (length,)
        case _:
            if not cursor.tried("shape"):
                problem = Problem(
                    code="missing-key",
                    problem=f"shared array '{shared.name}' needs 'shape'",
                    hint="shape: [256], or [480, 640, 3]",
                )
                cursor.findings.add(problem, shared.at, len(shared.name))
            return shared
    made = replace(shared, shape=shape)
    if node is not None and made.nbytes > _MOST_ELEMENTS:
        cursor.findings.error(
            node,
            "out-of-range",
            f"shared array '{shared.name}' has more elements than memory",
            "the 'shape' counts elements: [480, 640] are 307200",
        )
        return shared
    return made


def _with_start(cursor: Cursor, shared: Shared) -> Shared:
    node = cursor.get("value")
    if not isinstance(node, Scalar):
        return replace(shared, value=False) if shared.dtype == "bool" else shared
    why = misfit(node.value, shared.dtype)
    if why:
        cursor.findings.error(
            node,
            "bad-value",
            f"'value' must be of type {shared.dtype}, got {node.text}: {why}",
            "begin with a value that fits, or say another 'dtype'",
        )
        return shared
    assert isinstance(node.value, bool | int | float)
    return replace(shared, value=node.value)
