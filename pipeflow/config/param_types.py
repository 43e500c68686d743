"""The types of parameters, and how a value is read as one of them."""

from __future__ import annotations

import math
from enum import Enum

from pipeflow.config.lines import Lines
from pipeflow.config.nodes import Map, Node, Scalar, Seq, kind_of, plain
from pipeflow.config.problem import Problem
from pipeflow.config.scalars import TRUTHS, reread, resolve
from pipeflow.config.tree import read_tree
from pipeflow.config.units import duration, size
from pipeflow.values import replace


class ParamType(Enum):
    """What a parameter may hold."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    PATH = "path"
    DURATION = "duration"
    SIZE = "size"
    LIST = "list"

    @property
    def words(self) -> str:
        """In words for people."""
        return _WORDS[self][0]

    @property
    def example(self) -> str:
        """A value, as it would stand behind ``--param NAME=``."""
        return _WORDS[self][1]

    @classmethod
    def of(cls, node: Node) -> ParamType:
        """The type that a default without one stands for."""
        match node:
            case Seq():
                return cls.LIST
            case Scalar(value=bool()):
                return cls.BOOLEAN
            case Scalar(value=int()):
                return cls.INTEGER
            case Scalar(value=float()):
                return cls.NUMBER
            case _:
                return cls.STRING


_WORDS = {
    ParamType.STRING: ("text", "TEXT"),
    ParamType.INTEGER: ("a whole number", "1"),
    ParamType.NUMBER: ("a number", "0.5"),
    ParamType.BOOLEAN: ("true or false", "true"),
    ParamType.PATH: ("a path", "PATH"),
    ParamType.DURATION: ("a duration", "10s"),
    ParamType.SIZE: ("a size", "64MiB"),
    ParamType.LIST: ("a list", "a,b"),
}


def typed(kind: ParamType, node: Node) -> tuple[Node, object] | Problem:
    """A node as a value of a type: what stands for a reference to it, and its value."""
    if kind is ParamType.LIST:
        return _list(node)
    if not isinstance(node, Scalar):
        return _wrong(kind, node)
    match kind:
        case ParamType.STRING | ParamType.PATH:
            return _text(kind, node)
        case ParamType.DURATION:
            return _quantity(node, duration(_raw(node)))
        case ParamType.SIZE:
            return _quantity(node, size(_raw(node)))
        case ParamType.INTEGER | ParamType.NUMBER | ParamType.BOOLEAN:
            return _number(kind, node)


def _text(kind: ParamType, node: Scalar) -> tuple[Node, object] | Problem:
    if isinstance(node.value, str):
        return replace(node, quoted=True, from_text=False), node.value
    if node.from_text:
        return replace(node, value=node.text, quoted=True, from_text=False), node.text
    problem = _wrong(kind, node)
    return replace(problem, hint=f'write "{node.text}" in quotes') if node.text else problem


def _number(kind: ParamType, node: Scalar) -> tuple[Node, object] | Problem:
    read = reread(node)
    if isinstance(read, Problem):
        return read
    value = read.value
    if kind is ParamType.BOOLEAN:
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits:
        return _wrong(kind, node)
    if isinstance(value, float):
        if not math.isfinite(value):
            problem = f"must be finite, got {node.text}"
            return Problem(code="param-value", problem=problem, hint=f"such as {kind.example}")
        if kind is ParamType.INTEGER:
            # 1e3 and 2.0 are whole numbers, as in JSON Schema.
            if not value.is_integer():
                return _wrong(kind, node)
            value = int(value)
    return replace(read, value=value, from_text=False, quoted=False), value


def _quantity(node: Scalar, read: float | Problem) -> tuple[Node, object] | Problem:
    if isinstance(read, Problem):
        return read
    if not isinstance(node.value, str):
        return replace(node, quantity=read, from_text=False), read
    return replace(node, quantity=read, from_text=False, quoted=True), read


def _raw(node: Scalar) -> object:
    return node.text if node.from_text else node.value


def _list(node: Node) -> tuple[Node, object] | Problem:
    if isinstance(node, Seq):
        return node, plain(node)
    if isinstance(node, Map) or not node.from_text:
        return _wrong(ParamType.LIST, node)
    text = node.text.strip()
    if text.startswith("["):
        root, findings = read_tree(Lines(node.at.file, text, node.at.via))
        if findings:
            return Problem(
                code=findings[0].code, problem=findings[0].problem, hint=findings[0].hint
            )
        return (root, plain(root)) if isinstance(root, Seq) else _wrong(ParamType.LIST, node)
    items: list[Node] = []
    for part in text.split(",") if text else ():
        word = part.strip()
        value = resolve(word)
        if isinstance(value, Problem) or value is None:
            value = word
        items.append(Scalar(at=node.at, value=value, text=word))
    seq = Seq(at=node.at, items=tuple(items))
    return seq, plain(seq)


def _wrong(kind: ParamType, node: Node) -> Problem:
    hint = ""
    if isinstance(node, Scalar) and node.quoted and not isinstance(resolve(node.text), str | None):
        hint = "remove the quotes"
    elif kind is ParamType.BOOLEAN and isinstance(node, Scalar) and node.text.lower() in TRUTHS:
        hint = f"write {TRUTHS[node.text.lower()]}"
    elif kind in {ParamType.INTEGER, ParamType.NUMBER, ParamType.BOOLEAN}:
        hint = f"such as {kind.example}"
    problem = f"expected {kind.words}, got {kind_of(node)}"
    return Problem(code="param-type", problem=problem, hint=hint)
