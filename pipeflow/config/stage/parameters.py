"""From ``with`` to the parameters of a stage: of an operator, or of the user's own function."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeflow.config.annotations import fitted
from pipeflow.config.cursor import Cursor, Findings
from pipeflow.config.expressions import check_expression
from pipeflow.config.nodes import Map, Node, Scalar, plain
from pipeflow.config.problem import Problem
from pipeflow.config.units import duration, size
from pipeflow.errors import Location
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.stage_type import CallFacts, StageType
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Parameters:
    """``with``, read.

    Attributes:
        values: Name to value.
        at: Name to the place of the value.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    at: Mapping[str, Location] = field(default_factory=dict)


def operator_parameters(stage: Cursor, operator: StageType) -> Parameters:
    """Read the parameters of an operator; the schema has judged names and types already."""
    given = stage.inner("with")
    if given is None:
        if not stage.tried("with"):
            _judge_together(stage, operator, {})
        return Parameters()
    options = {option.name: option for option in operator.options}
    values: dict[str, object] = {}
    places: dict[str, Location] = {}
    for entry in given.entries():
        option = options.get(entry.key)
        if option is None:
            # A plug-in that says nothing of its parameters before it is loaded.
            values[entry.key] = plain(entry.value)
        else:
            values[entry.key] = _option_value(option, entry.value, stage.findings)
        places[entry.key] = entry.value.at
    if values.keys() == tried_for(stage):
        _judge_together(stage, operator, values)
    return Parameters(values, places)


def call_parameters(stage: Cursor, facts: CallFacts) -> Parameters:
    """Read the parameters of the user's function; ``source`` judges them."""
    given = stage.inner("with")
    if given is None:
        return Parameters()
    kinds = {parameter.name: parameter.kind for parameter in facts.parameters}
    # A misfit has had its finding, and is never looked at.
    values = {entry.key: fitted(entry.value, kinds.get(entry.key, "")) for entry in given.entries()}
    return Parameters(values, {entry.key: entry.value.at for entry in given.entries()})


def given_to(stage: Cursor) -> dict[str, Node]:
    """The nodes under ``with`` that are right so far."""
    given = stage.inner("with")
    return {entry.key: entry.value for entry in given.entries()} if given else {}


def tried_for(stage: Cursor) -> frozenset[str]:
    """All names under ``with``, also of those whose values have had their finding."""
    given = stage.inner("with")
    if given is None:
        return frozenset()
    inner = len(given.path)
    refused = {
        str(path[-1]) for path in stage.wrong if path[:-1] == given.path and len(path) > inner
    }
    return frozenset(given.node) | refused


def _judge_together(stage: Cursor, operator: StageType, values: Mapping[str, object]) -> None:
    """Tell what is wrong with parameters each of which is right alone."""
    for misuse in operator.judge(values):
        given, use = stage.node.get("with"), stage.node.get("use")
        entry = given.entry(misuse.parameter) if isinstance(given, Map) else None
        at = entry or use
        assert at is not None
        stage.findings.error(at, "bad-parameter", misuse.problem, misuse.hint)


def _option_value(option: Option, node: Node, findings: Findings) -> object:
    if isinstance(node, Map) and OptionType.EXPRESSIONS in option.types:
        for entry in node.entries:
            if isinstance(entry.value, Scalar):
                _check_expression(entry.key, entry.value, option, findings)
    if not isinstance(node, Scalar):
        return plain(node)
    kinds, value = option.types, node.value
    if isinstance(value, str):
        for kind, read in ((OptionType.DURATION, duration), (OptionType.SIZE, size)):
            if kind in kinds:
                return _quantity(option, kind, node, read(value), findings)
        if OptionType.EXPRESSION in kinds:
            _check_expression(option.name, node, option, findings)
    if isinstance(value, float) and not math.isfinite(value):
        problem = f"'{option.name}' must be finite, got {node.text}"
        findings.error(node, "out-of-range", problem, f"a number: {option.name}: 1.5")
    elif (
        OptionType.INTEGER in kinds and OptionType.NUMBER not in kinds and isinstance(value, float)
    ):
        return int(value)  # 1.0 is a whole number to the schema
    return value


def _check_expression(key: str, node: Scalar, option: Option, findings: Findings) -> None:
    problem = check_expression(key, node, option.names)
    if problem is not None:
        findings.add(*problem)


def _quantity(
    option: Option, kind: OptionType, node: Scalar, read: float | Problem, findings: Findings
) -> object:
    quantity = read if node.quantity is None else node.quantity
    if isinstance(quantity, Problem):
        findings.add(quantity, node.at, node.length)
        return node.value
    if option.minimum is not None and quantity < option.minimum:
        least, written = f"{option.minimum:g} bytes", f"{option.minimum:g}B"
        if kind is OptionType.DURATION:
            in_seconds = option.minimum >= 1
            written = f"{option.minimum:g}s" if in_seconds else f"{option.minimum * 1e3:g}ms"
            least = written
        problem = f"'{option.name}' must be at least {least}, got {node.text}"
        findings.error(node, "out-of-range", problem, f"{option.name}: {written}")
    return quantity
