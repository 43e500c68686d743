"""``enum``, ``minimum`` and ``maximum`` of a parameter: what they say, and whom they refuse."""

from __future__ import annotations

from pipeflow.config.nodes import Map, Node, Scalar, Seq
from pipeflow.config.param_types import ParamType, typed
from pipeflow.config.problem import Problem
from pipeflow.errors import Finding
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace

_WITH_ORDER = {ParamType.INTEGER, ParamType.NUMBER, ParamType.DURATION, ParamType.SIZE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One value of the parameter's type.

    Attributes:
        value: Seconds and bytes for duration and size.
        text: As the file spells it.
        node: Where it stands.
    """

    value: object
    text: str
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a parameter may be, beside its type.

    Attributes:
        choices: The only values allowed; empty for any.
        least: The least one, or ``None``.
        greatest: The greatest one, or ``None``.
    """

    choices: tuple[Bound, ...] = ()
    least: Bound | None = None
    greatest: Bound | None = None

    @property
    def example(self) -> str:
        """A value that is allowed, as ``--param`` takes it; empty if any will do."""
        allowed = [*self.choices, *(one for one in (self.least, self.greatest) if one is not None)]
        return allowed[0].text if allowed else ""

    def refuse(self, name: str, value: object, shown: str, *, secret: bool) -> Problem | None:
        """Why a value of the right type is not allowed; ``None`` if it is."""
        if self.choices and not any(_same(value, one.value) for one in self.choices):
            listed = ", ".join(quoted(one.value, one.text) for one in self.choices)
            near = did_you_mean(str(value), [one.text for one in self.choices])
            return Problem(
                code="param-value",
                problem=f"parameter '{name}' must be one of {listed}, got {shown}",
                hint=f"did you mean '{near}'?" if near and not secret else f"one of: {listed}",
            )
        for bound, word, sign in ((self.least, "at least", -1), (self.greatest, "at most", 1)):
            if bound is not None and _beyond(value, bound, sign):
                problem = f"parameter '{name}' must be {word} {bound.text}, got {shown}"
                return Problem(code="param-value", problem=problem, hint=f"such as {bound.text}")
        return None


def read_bounds(name: str, kind: ParamType, block: Map | None) -> tuple[Bounds, list[Finding]]:
    """The bounds of a parameter, and what is wrong with them.

    Values of a form that no bound has (a list as ``minimum``) are left to the schema.

    Args:
        name: Of the parameter.
        kind: Its type.
        block: Its declaration.
    """
    if block is None:
        return Bounds(), []
    findings: list[Finding] = []
    enum = block.get("enum")
    entries = enum.items if isinstance(enum, Seq) else ()
    listed = [_bound(f"'enum' of parameter '{name}'", kind, one, findings) for one in entries]
    least, greatest = (_limit(name, kind, block, key, findings) for key in ("minimum", "maximum"))
    if least is not None and greatest is not None and _beyond(least.value, greatest, 1):
        problem = f"'minimum' of parameter '{name}' is {least.text}, and 'maximum' {greatest.text}"
        told = Problem(code="param-value", problem=problem, hint="no value would fit: swap them")
        findings.append(told.found_at(least.node.at, least.node.length))
        least = greatest = None
    choices = tuple(one for one in listed if one is not None)
    if len(choices) < len(listed):
        # One of them was meant to be something else, so nobody can be refused by them.
        choices = ()
    return Bounds(choices=choices, least=least, greatest=greatest), findings


def quoted(value: object, text: str = "") -> str:
    """A value for people: text in quotes."""
    return f'"{value}"' if isinstance(value, str) else text or str(value)


def _limit(
    name: str, kind: ParamType, block: Map, key: str, findings: list[Finding]
) -> Bound | None:
    entry = block.entry(key)
    if entry is None or not isinstance(entry.value, Scalar) or entry.value.value is None:
        return None
    if kind not in _WITH_ORDER:
        told = Problem(
            code="param-value",
            problem=f"parameter '{name}' is {kind.words}, which has no '{key}'",
            hint="use 'enum' to list what it may be, or give it the type that was meant",
        )
        findings.append(told.found_at(entry.key_at, entry.key_length))
        return None
    return _bound(f"'{key}' of parameter '{name}'", kind, entry.value, findings)


def _bound(what: str, kind: ParamType, node: Node, findings: list[Finding]) -> Bound | None:
    if isinstance(node, Scalar) and node.broken:
        return None
    read = typed(kind, node)
    if isinstance(read, Problem):
        told = replace(read, problem=f"{what}: {read.problem}")
        findings.append(told.found_at(node.at, node.length))
        return None
    text = node.text if isinstance(node, Scalar) else str(read[1])
    return Bound(value=read[1], text=text, node=node)


def _beyond(value: object, bound: Bound, sign: int) -> bool:
    """Whether a number lies above (sign 1) or below (sign -1) a bound."""
    if not isinstance(value, int | float) or not isinstance(bound.value, int | float):
        return False
    return (value - bound.value) * sign > 0


def _same(a: object, b: object) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b
