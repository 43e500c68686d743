"""What docstrings say of a function and of its parameters: Google, NumPy and Sphinx style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from pipeflow.values import dataclass, field

#: Longer summaries would fill an editor.
_MOST_TEXT = 600


@dataclass(frozen=True, slots=True)
class Documented:
    """The words of docstrings.

    Attributes:
        summary: What it does, without its sections.
        parameters: Parameter to what is said of it.
    """

    summary: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=512)
def documented(docs: tuple[str, ...]) -> Documented:
    """The words of docstrings, the first one's summary first; never fails, whatever they hold."""
    parsed = [_parsed(doc) for doc in docs]
    parameters: dict[str, str] = {}
    for one in parsed:
        parameters |= one.parameters
    summaries = [one.summary for one in parsed if one.summary]
    return Documented(summaries[0] if summaries else "", parameters)


def _parsed(doc: str) -> Documented:
    from docstring_parser import ParseError, parse

    doc = inspect.cleandoc(doc)
    try:
        found = parse(doc)
    except (ParseError, ValueError, IndexError):
        # A docstring need not follow any style.
        return Documented(_short(doc.split("\n\n", maxsplit=1)[0]))
    parts = (found.short_description, found.long_description)
    parameters = {
        name: _one_line(one.description)
        for one in found.params
        for name in _names(one.arg_name)
        if one.description
    }
    return Documented(_short("\n\n".join(part for part in parts if part)), parameters)


def _names(written: str) -> Iterable[str]:
    """``x, y`` of NumPy's style, ``*args``, ``:param int x:``."""
    return (name.strip().lstrip("*") for name in written.split(","))


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
