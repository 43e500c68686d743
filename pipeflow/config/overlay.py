"""Overlays (``-f``) and single values (``--set``) laid over a tree; every node keeps its place."""

from __future__ import annotations

from typing import Final

from pipeflow.config.lines import Lines
from pipeflow.config.nodes import FROM_SET, Entry, Map, Node, Scalar, Seq, kind_of
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import resolve
from pipeflow.config.tree import read_tree
from pipeflow.errors import Finding, Location
from pipeflow.suggest import did_you_mean
from pipeflow.values import replace

_EXAMPLE: Final = "--set stages.shrink.replicas=4"


def lay_over(base: Map, over: Map) -> Map:
    """``over`` laid over ``base``: maps are merged by key, everything else is replaced."""
    entries = []
    for entry in base.entries:
        above = over.entry(entry.key)
        if above is None:
            entries.append(entry)
        elif isinstance(entry.value, Map) and isinstance(above.value, Map):
            entries.append(replace(entry, value=lay_over(entry.value, above.value)))
        else:
            entries.append(above)
    known = set(base.keys())
    entries.extend(entry for entry in over.entries if entry.key not in known)
    return replace(base, entries=tuple(entries))


def set_value(root: Map, text: str, number: int = 1) -> Map | Finding:
    """The tree with one value changed, as ``stages.shrink.replicas=4`` says.

    A value in ``[ ]`` or ``{ }`` is read as YAML. Any other is a scalar with ``from_text``: its
    ``value`` is what YAML makes of it, its ``text`` what was written.

    Args:
        root: The tree; it stays as it is.
        text: The argument of ``--set``.
        number: Which ``--set`` it is, from 1: the line of its places.
    """
    path, equals, value = text.partition("=")
    steps = path.strip().split(".")
    if not equals or not all(steps):
        problem = f'expected "path=value", got "{text}"'
        return _problem("bad-set", problem, _EXAMPLE).found_at(Location(FROM_SET, number, 1))
    node = _value(value, Location(FROM_SET, number, len(path) + 2))
    if isinstance(node, Finding):
        return node
    changed = _changed(root, steps, 0, node, Location(FROM_SET, number, 1))
    if isinstance(changed, Problem):
        return changed.found_at(Location(FROM_SET, number, 1), len(path))
    assert isinstance(changed, Map)
    return changed


def _value(text: str, at: Location) -> Node | Finding:
    if text.lstrip()[:1] in {"[", "{"}:
        # Line breaks above and spaces before bring every place to where the value stands.
        padding = "\n" * (at.line - 1) + " " * (at.column - 1)
        node, findings = read_tree(Lines(at.file, padding + text))
        return findings[0] if findings or node is None else node
    value = resolve(text)
    if isinstance(value, Problem):
        # Where text is due "0755" is text; where a number is due it is told then.
        value = text
    return Scalar(at=at, length=max(1, len(text)), value=value, text=text, from_text=True)


def _changed(
    node: Node | None, steps: list[str], index: int, value: Node, at: Location
) -> Node | Problem:
    if index == len(steps):
        return value
    step = steps[index]
    if isinstance(node, Seq):
        return _changed_item(node, steps, index, value, at)
    if isinstance(node, Scalar) and node.value is not None:
        path = ".".join(steps[:index])
        return _problem(
            "bad-set", f'"{path}" is {kind_of(node)}, not a mapping', "set it as a whole"
        )
    around = node if isinstance(node, Map) else Map(at=at, entries=())
    if steps[0] == "stages" and index == 1 and len(steps) > 2 and step not in around:
        near = did_you_mean(step, around.keys())
        hint = f"did you mean '{near}'?" if near else "stages: " + ", ".join(around.keys())
        outer, slash, _ = step.partition("/")
        if slash and outer in around:
            hint = (
                f"the file that '{outer}' runs is closed: give it a param, "
                f"and set stages.{outer}.with.NAME"
            )
        return _problem("unknown-stage", f"no stage '{step}'", hint)
    inner = _changed(around.get(step), steps, index + 1, value, at)
    if isinstance(inner, Problem):
        return inner
    entry = Entry(key=step, key_at=at, key_length=len(".".join(steps)), value=inner)
    if step not in around:
        return replace(around, entries=(*around.entries, entry))
    entries = (replace(e, value=inner) if e.key == step else e for e in around.entries)
    return replace(around, entries=tuple(entries))


def _changed_item(
    node: Seq, steps: list[str], index: int, value: Node, at: Location
) -> Node | Problem:
    step, path = steps[index], ".".join(steps[:index])
    if not (step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(node.items)):
        problem = f"'{path}' is a list of {len(node.items)}, and '{step}' is no place in it"
        return _problem("bad-set", problem, "places are counted from 0")
    inner = _changed(node.items[int(step)], steps, index + 1, value, at)
    if isinstance(inner, Problem):
        return inner
    items = (*node.items[: int(step)], inner, *node.items[int(step) + 1 :])
    return replace(node, items=items)


def _problem(code: str, problem: str, hint: str) -> Problem:
    return Problem(code=code, problem=problem, hint=hint)
