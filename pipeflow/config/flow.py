"""What goes wrong silently inside ``{ }`` and ``[ ]``: commas that cut expressions, ``{a:1}``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipeflow.config.merge import Pair
from pipeflow.config.nodes import Node, Scalar
from pipeflow.errors import Finding, Location
from pipeflow.values import replace

_NO_SPACE: Final = re.compile(r"([^\s:{}\[\]'\"]+):(\S.*)")
_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


def mend_pairs(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Finding]]:
    """The pairs of a mapping in braces, without those that a comma tore out of an expression."""
    kept: list[Pair] = []
    findings: list[Finding] = []
    torn: Torn | None = None
    for pair in pairs:
        if torn is not None and _is_bare(pair):
            torn.add(pair.key.text)
            if torn.closed:
                findings.append(torn.finding())
                kept[-1] = replace(kept[-1], value=replace(torn.first, broken=True))
                torn = None
            continue
        if torn is not None:
            torn = None
        if _is_bare(pair) and (found := _NO_SPACE.fullmatch(pair.key.text)):
            findings.append(_missing_space(pair, found[1], found[2]))
            value = replace(pair.key, broken=True)
            kept.append(replace(pair, key=replace(pair.key, text=found[1]), value=value))
            continue
        kept.append(pair)
        torn = _torn(pair.value)
    return kept, findings


def mend_items(items: tuple[Node, ...]) -> tuple[tuple[Node, ...], list[Finding]]:
    """The items of a list in brackets, likewise."""
    kept: list[Node] = []
    findings: list[Finding] = []
    torn: Torn | None = None
    for item in items:
        if torn is not None and isinstance(item, Scalar) and not item.quoted:
            torn.add(item.text)
            kept.append(item)
            if torn.closed:
                findings.append(torn.finding())
                del kept[-len(torn.parts) :]
                kept.append(replace(torn.first, broken=True))
                torn = None
            continue
        kept.append(item)
        torn = _torn(item)
    return tuple(kept), findings


class Torn:
    """An expression that commas cut in pieces, as far as it was found.

    Attributes:
        first: The value that the first comma ended.
        parts: The pieces, the first one included.
        closed: All its brackets are closed again.
    """

    def __init__(self, first: Scalar, depth: int) -> None:
        self.first = first
        self.parts = [first.text]
        self._depth = depth

    @property
    def closed(self) -> bool:
        return self._depth == 0

    def add(self, text: str) -> None:
        """A further piece."""
        self.parts.append(text)
        self._depth = max(0, self._depth + open_parentheses(text))

    def finding(self) -> Finding:
        """What to tell people."""
        whole = ", ".join(self.parts)
        quote = '"' if "'" in whole else "'"
        at: Location = self.first.at
        return Finding(
            at=at,
            code="comma-in-expression",
            problem=f'inside {{ }} and [ ] a comma ends the value: "{self.first.text}"',
            hint=f"write it in quotes: {quote}{whole}{quote}",
            length=self.first.length,
        )


def open_parentheses(text: str) -> int:
    """Parentheses opened and not closed in a text, less those closed and not opened."""
    bare = _QUOTED.sub("", text)
    return bare.count("(") - bare.count(")")


def _torn(value: Node) -> Torn | None:
    if not isinstance(value, Scalar) or value.quoted or value.broken:
        return None
    depth = open_parentheses(value.text)
    return Torn(value, depth) if depth > 0 else None


def _is_bare(pair: Pair) -> bool:
    value = pair.value
    empty = isinstance(value, Scalar) and value.value is None and not value.text
    return empty and not pair.key.quoted


def _missing_space(pair: Pair, key: str, value: str) -> Finding:
    return Finding(
        at=replace_column(pair.at, pair.at.column + len(key)),
        code="missing-space",
        problem='missing space after ":"',
        hint=f"{key}: {value}",
    )


def replace_column(at: Location, column: int) -> Location:
    """The same line, another column."""
    return replace(at, column=column)
