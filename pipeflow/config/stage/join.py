"""``join``: from one word, or a mapping with a key, to how the named inputs of a stage meet."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.expressions import check_expression
from pipeflow.config.nodes import Map, Scalar
from pipeflow.config.stage.edges import Inputs
from pipeflow.spec.policies import (
    DEFAULT_WITHIN_ITEMS,
    JoinPolicy,
    KeyedInputs,
    LatestInputs,
    ZipInputs,
)
from pipeflow.spec.table import both
from pipeflow.suggest import did_you_mean


def read_join(cursor: Cursor, inputs: Inputs) -> JoinPolicy:
    """How the inputs of a stage meet; what cannot be meant is a finding."""
    node, entry = cursor.get("join"), cursor.node.entry("join")
    if node is None or entry is None:
        return ZipInputs()
    if inputs.whole and not inputs.named:
        cursor.findings.error(
            entry,
            "bad-join",
            "'join' is for named inputs, and this stage has none",
            "name the inputs, one argument each: inputs: {image: decode, mask: segment}",
        )
        return ZipInputs()
    inner = cursor.inner("join")
    if inner is None and cursor.text("join") != "latest":
        return ZipInputs()
    if inputs.whole and len(inputs.edges) == 1:
        cursor.findings.error(
            entry,
            "bad-join",
            f"there is nothing to join: '{inputs.edges[0].input}' is the only input",
            "name a second input, or take 'join' out",
        )
    return LatestInputs() if inner is None else _by_key(inner, inputs)


def _by_key(cursor: Cursor, inputs: Inputs) -> KeyedInputs:
    items, seconds = _within(cursor)
    return KeyedInputs(expressions=_expressions(cursor, inputs), items=items, seconds=seconds)


def _within(cursor: Cursor) -> tuple[int | None, float | None]:
    """Items or seconds; one of the two."""
    node = cursor.get("within")
    if not isinstance(node, Scalar):
        return DEFAULT_WITHIN_ITEMS, None
    is_number = isinstance(node.value, int | float) and node.quantity is None
    if is_number and not isinstance(node.value, bool):
        return cursor.integer("within"), None
    seconds = cursor.duration("within")
    if seconds is not None and seconds <= 0:
        problem = "'within' must be more than nothing"
        cursor.findings.error(node, "out-of-range", problem, "within: 5s, or a number of items")
        return DEFAULT_WITHIN_ITEMS, None
    return (DEFAULT_WITHIN_ITEMS, None) if seconds is None else (None, seconds)


def _expressions(cursor: Cursor, inputs: Inputs) -> dict[str, str]:
    """Input to the expression of its key, for every input that has one."""
    key = cursor.get("key")
    ports = [edge.input for edge in inputs.edges]
    match key:
        case Scalar():
            _check(cursor, "key", key)
            return dict.fromkeys(ports, str(key.value))
        case Map():
            return _of_each_port(cursor.at(key, "key"), ports, whole=inputs.whole)
        case _:
            return {}


def _of_each_port(cursor: Cursor, ports: list[str], *, whole: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    strangers = 0
    for entry in cursor.entries():
        if whole and entry.key not in ports:
            near = did_you_mean(entry.key, [port for port in ports if port not in cursor.node])
            strangers += 1
            cursor.findings.error(
                entry,
                "bad-join",
                f"'key' names '{entry.key}', and no input of this stage has that name",
                (f"did you mean '{near}'? " if near else "")
                + f"the inputs are: {', '.join(ports)}",
            )
        elif isinstance(entry.value, Scalar):
            _check(cursor, entry.key, entry.value)
            found[entry.key] = str(entry.value.value)
    missing = [port for port in ports if not cursor.tried(port)]
    if whole and len(missing) > strangers:  # a stranger was meant to be one of them
        of = both([f"'{port}'" for port in missing])
        cursor.findings.error(
            cursor.node,
            "bad-join",
            f"'key' says nothing of {of}",
            "give each input an expression, or one for all: key: 'item[\"id\"]'",
        )
    return found


def _check(cursor: Cursor, name: str, node: Scalar) -> None:
    problem = check_expression(name, node)
    if problem is not None:
        cursor.findings.add(*problem)
