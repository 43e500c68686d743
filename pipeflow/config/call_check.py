"""Whether ``with`` and the inputs of a stage fit the parameters of the user's function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeflow.config.annotations import misfit
from pipeflow.config.nodes import Node, Scalar, kind_of, plain
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import reread
from pipeflow.config.suggest import did_you_mean
from pipeflow.spec.stage_type import CallFacts, Parameter, Shape


def check_parameters(
    facts: CallFacts, given: Mapping[str, Node], items: tuple[str, ...] | int
) -> list[tuple[Problem, Node | None]]:
    """What is wrong with a call, each with the node it is about; ``None``: the call itself.

    Args:
        facts: Of the target.
        given: What stands under ``with``.
        items: How many items come by position (0 for a source, else 1), or the names of the
            inputs, which come by name.
    """
    if facts.shape is Shape.UNKNOWN or (facts.open_ended and not _signature(facts)):
        return []
    return [*_items(facts, items), *_with(facts, given, items)]


def _items(facts: CallFacts, items: tuple[str, ...] | int) -> Iterator[tuple[Problem, None]]:
    takers = facts.item_parameters if _is_class(facts) else facts.parameters
    # A class whose __call__ is decorated: nothing is known of its items.
    if _is_class(facts) and facts.variadic and not takers:
        return
    positional = [one for one in takers if one.positional]
    if isinstance(items, int):
        if len(positional) < items and not facts.variadic:
            name = _name(facts)
            problem = f"{name} takes no item, but the stage has an input"
            yield _problem(facts, "item-argument", problem), None
        if _is_class(facts):
            rest = [*positional[items:], *(one for one in takers if not one.positional)]
            for one in rest:
                if one.required:
                    problem = f'__call__ needs "{one.name}" beside the item'
                    if not items:
                        problem = f'__call__ needs "{one.name}", but the stage has no inputs'
                    yield _problem(facts, "item-argument", problem), None
        return
    names = [one.name for one in takers if one.keyword]
    for port in items:
        if port not in names and not (facts.open_ended and not _is_class(facts)):
            near = did_you_mean(port, names)
            problem = f'{_name(facts)} has no parameter "{port}" for that input'
            yield _problem(facts, "item-argument", problem, near), None
    if _is_class(facts):
        for one in takers:
            if one.required and one.name not in items:
                problem = f'__call__ needs an input "{one.name}"'
                yield _problem(facts, "item-argument", problem), None


def _with(
    facts: CallFacts, given: Mapping[str, Node], items: tuple[str, ...] | int
) -> Iterator[tuple[Problem, Node | None]]:
    taken = _taken_by_items(facts, items)
    free = {one.name: one for one in facts.parameters if one.name not in taken}
    for name, node in given.items():
        parameter = free.get(name)
        if name in taken:
            problem = f'"{name}" is the item; it comes from the inputs'
            yield _problem(facts, "parameter-is-item", problem), node
        elif parameter is None or not parameter.keyword:
            if parameter is None and facts.open_ended:
                continue
            near = did_you_mean(name, free)
            problem = f'{_name(facts)} has no parameter "{name}"'
            yield _problem(facts, "unknown-parameter", problem, near), node
        elif (unfit := _misfit(node, parameter.annotation)) is not None:
            problem = f'parameter "{name}" of {_name(facts)}: {unfit}'
            yield _problem(facts, "parameter-type", problem), node
    for name, parameter in free.items():
        if parameter.required and name not in given:
            problem = f'{_name(facts)} needs "{name}"'
            hint = f"with: {{{name}: ...}}; {_signature_text(facts)}"
            if items == 0 and parameter is facts.parameters[0] and not _is_class(facts):
                hint = f"give the stage 'inputs', or {hint}"
            yield Problem(code="missing-parameter", problem=problem, hint=hint), None


def _taken_by_items(facts: CallFacts, items: tuple[str, ...] | int) -> set[str]:
    if _is_class(facts):
        return set()
    if isinstance(items, tuple):
        return set(items)
    return {one.name for one in [p for p in facts.parameters if p.positional][:items]}


def _misfit(node: Node, annotation: str) -> str | None:
    """Why a node does not fit an annotation; ``None`` if it does, or may."""
    if not annotation:
        return None
    if not isinstance(node, Scalar):
        return _told(node, misfit(plain(node), annotation))
    if node.broken:
        return None
    readings: list[object] = [node.value]
    if node.quantity is not None:
        readings.append(node.quantity)
    if node.from_text:
        # From outside all comes as text; what it means depends on who asks.
        again = reread(node)
        readings += [node.text, again.value if isinstance(again, Scalar) else node.text]
    reasons = [misfit(value, annotation) for value in readings]
    return None if None in reasons else _told(node, reasons[0])


def _told(node: Node, wanted: str | None) -> str | None:
    shown = "a secret" if isinstance(node, Scalar) and node.secret else kind_of(node)
    return f"expected {wanted}, got {shown}" if wanted else None


def _problem(facts: CallFacts, code: str, problem: str, near: str | None = None) -> Problem:
    hint = _signature_text(facts)
    if near:
        hint = f'did you mean "{near}"? {hint}'
    return Problem(code=code, problem=problem, hint=hint)


def _signature_text(facts: CallFacts) -> str:
    where = f", {facts.file}:{facts.line}" if facts.file else ""
    return f"{facts.name or 'it'}({', '.join(_signature(facts))}){where}"


def _signature(facts: CallFacts) -> list[str]:
    return [_spelled(one) for one in facts.parameters] + ["**"] * bool(
        facts.open_ended and facts.parameters
    )


def _spelled(parameter: Parameter) -> str:
    default = parameter.default
    if not default:
        return parameter.name
    return f"{parameter.name}={default if len(default) <= 20 else '...'}"


def _name(facts: CallFacts) -> str:
    return f"{facts.name}()" if facts.name else "it"


def _is_class(facts: CallFacts) -> bool:
    return facts.shape is Shape.CLASS
