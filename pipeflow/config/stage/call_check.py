"""Whether ``with`` and the inputs of a stage fit the parameters of the user's function."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from pipeflow.config.annotations import Misfit, fitted
from pipeflow.config.nodes import Node
from pipeflow.config.problem import Problem
from pipeflow.errors import Location
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts, Parameter
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass

#: Parameters of a signature that a hint shows.
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Something wrong with a call, and what in the file it is about.

    Attributes:
        problem: What is wrong.
        parameter: The entry of ``with`` that it is about, or empty.
        port: The named input that it is about, or empty; with neither it is the call itself.
        place: Where it is and how long, if that is known better than by these names.
    """

    problem: Problem
    parameter: str = ""
    port: str = ""
    place: tuple[Location, int] | None = None


def check_parameters(
    facts: CallFacts,
    given: Mapping[str, Node],
    items: tuple[str, ...] | int,
    tried: Collection[str] = (),
) -> list[Complaint]:
    """What is wrong with a call.

    One slip earns one complaint: a parameter that is misspelt is not missing as well.

    Args:
        facts: Of the target.
        given: What stands under ``with``.
        items: How many items come by position (0 for a source, else 1), or the names of the
            inputs, which come by name.
        tried: Names under ``with`` whose values have had their finding.
    """
    if facts.shape is Shape.UNKNOWN or (facts.open_ended and not _signature(facts)):
        return []
    wrong_items = list(_items(facts, items))
    strange = [one for one in wrong_items if one.port]
    missing = [
        one.name
        for one in _free(facts, items)
        if one.required and one.name not in given and one.name not in tried
    ]
    slips = [name for name in given if name not in [one.name for one in _free(facts, items)]]
    missing = _without(missing, [*slips, *(one.port for one in strange)])
    # An input that goes nowhere was meant for the parameter that now has none.
    missing = missing[len(strange) :]
    return [
        *wrong_items,
        *_with(facts, given, items),
        *(_missing(facts, name, items) for name in missing),
    ]


def _without(missing: list[str], slips: Iterable[str]) -> list[str]:
    """The missing names, less those that a slip was meant to be."""
    meant = {did_you_mean(slip, missing) for slip in slips}
    return [name for name in missing if name not in meant]


def _items(facts: CallFacts, items: tuple[str, ...] | int) -> Iterator[Complaint]:
    takers = facts.item_parameters if _is_class(facts) else facts.parameters
    # A class whose __call__ is decorated: nothing is known of its items.
    if _is_class(facts) and facts.variadic and not takers:
        return
    if isinstance(items, int):
        yield from _items_by_position(facts, takers, items)
    else:
        yield from _items_by_name(facts, takers, items)


def _items_by_position(
    facts: CallFacts, takers: Sequence[Parameter], items: int
) -> Iterator[Complaint]:
    positional = [one for one in takers if one.positional]
    if len(positional) < items and not facts.variadic:
        problem = f"{_name(facts)} takes no item, but the stage has an input"
        yield Complaint(problem=_problem(facts, "item-argument", problem))
    if not _is_class(facts):
        return
    for one in [*positional[items:], *(one for one in takers if not one.positional)]:
        if one.required:
            problem = f"__call__ needs '{one.name}' beside the item"
            if not items:
                problem = f"__call__ needs '{one.name}', but the stage has no inputs"
            yield Complaint(problem=_problem(facts, "item-argument", problem))


def _items_by_name(
    facts: CallFacts, takers: Sequence[Parameter], ports: tuple[str, ...]
) -> Iterator[Complaint]:
    names = [one.name for one in takers if one.keyword]
    strange = [
        port
        for port in ports
        if port not in names and not (facts.open_ended and not _is_class(facts))
    ]
    for port in strange:
        # `from` can be no argument, so `{form: decode}` may well be an edge with a slip in it.
        near = did_you_mean(port, names) or did_you_mean(port, ["from"])
        problem = f"{_name(facts)} has no parameter '{port}' for that input"
        told = _problem(facts, "item-argument", problem, near, facts.item_parameters)
        yield Complaint(problem=told, port=port)
    if _is_class(facts):
        needed = [one.name for one in takers if one.required and one.name not in ports]
        for name in _without(needed, strange)[len(strange) :]:
            problem = f"__call__ needs an input '{name}'"
            yield Complaint(problem=_problem(facts, "item-argument", problem))


def _free(facts: CallFacts, items: tuple[str, ...] | int) -> list[Parameter]:
    """The parameters that do not take the items."""
    taken = _taken_by_items(facts, items)
    return [one for one in facts.parameters if one.name not in taken]


def _with(
    facts: CallFacts, given: Mapping[str, Node], items: tuple[str, ...] | int
) -> Iterator[Complaint]:
    taken = _taken_by_items(facts, items)
    free = {one.name: one for one in _free(facts, items)}
    for name, node in given.items():
        told = _misgiven(facts, name, free, taken)
        if told is not None:
            yield Complaint(problem=told, parameter=name)
        elif name in free and (unfit := _unfit(facts, free[name], node)) is not None:
            yield unfit


def _misgiven(
    facts: CallFacts, name: str, free: Mapping[str, Parameter], taken: set[str]
) -> Problem | None:
    """What is wrong with the name of one entry of ``with``."""
    if name in taken:
        problem = f"'{name}' is the item; it comes from the inputs"
        return _problem(facts, "parameter-is-item", problem)
    parameter = free.get(name)
    if parameter is None:
        if facts.open_ended:
            return None
        near = did_you_mean(name, [one.name for one in free.values() if one.keyword])
        problem = f"{_name(facts)} has no parameter '{name}'"
        return _problem(facts, "unknown-parameter", problem, near)
    if not parameter.keyword:
        problem = f"'{name}' of {_name(facts)} stands before '/', so it cannot be given by name"
        return _problem(facts, "unknown-parameter", problem)
    return None


def _unfit(facts: CallFacts, parameter: Parameter, node: Node) -> Complaint | None:
    """What is wrong with the value of a parameter, or somewhere inside it."""
    value = fitted(node, parameter.kind)
    if not isinstance(value, Misfit):
        return None
    problem = f"parameter '{parameter.name}{value.inside}' of {_name(facts)}: {value.problem}"
    hint = f"{_declared(parameter)}, {facts.file}:{facts.line}"
    if value.hint:
        hint = f"{value.hint}{'' if value.hint.endswith('?') else ';'} {hint}"
    return Complaint(
        problem=Problem(code="parameter-type", problem=problem, hint=hint),
        parameter=parameter.name,
        place=(value.at, value.length),
    )


def _missing(facts: CallFacts, name: str, items: tuple[str, ...] | int) -> Complaint:
    parameter = next(one for one in facts.parameters if one.name == name)
    problem = f"{_name(facts)} needs '{name}'"
    hint = f"with: {{{name}: ...}}; {_signature_text(facts)}"
    if not parameter.keyword:
        hint = (
            f"it stands before '/': take that out, or give it a default; {_signature_text(facts)}"
        )
    elif items == 0 and parameter is facts.parameters[0] and not _is_class(facts):
        hint = f"give the stage 'inputs', or {hint}"
    return Complaint(problem=Problem(code="missing-parameter", problem=problem, hint=hint))


def _taken_by_items(facts: CallFacts, items: tuple[str, ...] | int) -> set[str]:
    if _is_class(facts):
        return set()
    if isinstance(items, tuple):
        return set(items)
    return {one.name for one in [p for p in facts.parameters if p.positional][:items]}


def _problem(
    facts: CallFacts,
    code: str,
    problem: str,
    near: str | None = None,
    shown: Sequence[Parameter] = (),
) -> Problem:
    hint = _signature_text(facts, shown)
    if near:
        hint = f"did you mean '{near}'? {hint}"
    return Problem(code=code, problem=problem, hint=hint)


def _signature_text(facts: CallFacts, shown: Sequence[Parameter] = ()) -> str:
    """The target as it is called; ``shown`` in place of its own parameters: of ``__call__``."""
    where = f", {facts.file}:{facts.line}" if facts.file else ""
    words = [_spelled(one) for one in shown] if shown else _signature(facts)
    if len(words) > _MOST_SHOWN:
        words = [*words[:_MOST_SHOWN], "..."]
    return f"{facts.name or 'it'}({', '.join(words)}){where}"


def _signature(facts: CallFacts) -> list[str]:
    return [_spelled(one) for one in facts.parameters] + ["**"] * bool(
        facts.open_ended and facts.parameters
    )


def _declared(parameter: Parameter) -> str:
    """A parameter with its annotation, as the source has it."""
    return f"{parameter.name}: {parameter.annotation}" + (
        f" = {parameter.default}" if 0 < len(parameter.default) <= 20 else ""
    )


def _spelled(parameter: Parameter) -> str:
    default = parameter.default
    if not default:
        return parameter.name
    return f"{parameter.name}={default if len(default) <= 20 else '...'}"


def _name(facts: CallFacts) -> str:
    return f"{facts.name}()" if facts.name else "it"


def _is_class(facts: CallFacts) -> bool:
    return facts.is_class
