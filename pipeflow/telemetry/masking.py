"""Masking: secrets and control characters taken out of texts that people and files get to see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

#: Stands for what must not be shown.
MASK: Final = "***"
#: A line of a secret that is shorter, such as a bracket, tells nobody anything.
_SHORTEST_LINE: Final = 4

#: C0 and C1 controls but tab and newline, and what turns the direction of writing
#: (``CVE-2021-42574``).
_CONTROLS: Final = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"

#: Colours and other looks of text, as terminals know them.
_LOOKS: Final = r"\x1b\[[0-9;]*m"


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Make a function that replaces every secret in a text by ``***``.

    A secret is also looked for as ``repr`` and JSON spell it, since that is how it stands in
    tracebacks and in printed items; and of several lines each by itself, as logs go line by line.
    """
    texts = [text for secret in secrets for text in (secret, *_lines(secret))]
    spellings = {
        spelling
        for text in texts
        for spelling in (
            text,
            repr(text)[1:-1],
            *(_as_json(text, ascii_only=each) for each in (True, False)),
        )
    }
    spellings.discard("")
    if not spellings:
        return lambda text: text
    # Longest first: a secret that begins with another one is replaced as a whole.
    ordered = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(spelling) for spelling in ordered))
    return lambda text: pattern.sub(MASK, text)


def _lines(secret: str) -> Iterator[str]:
    """The lines of a secret of several; short ones would hide half of every text."""
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line for line in map(str.strip, lines) if len(line) >= _SHORTEST_LINE)


def _as_json(text: str, *, ascii_only: bool) -> str:
    import json  # few pipelines have secrets

    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def escape_controls(text: str) -> str:
    r"""Write control and bidirectional characters as ``\x1b``, ``\u202e``; not tab and newline."""
    if text.isascii() and text.isprintable():
        return text  # as most texts: the pattern is compiled when it is needed
    return re.sub(_CONTROLS, _escaped, text)


def escape_but_looks(text: str) -> str:
    """The same, with colours and other looks of text left as they are: for a terminal."""
    plain = re.split(_LOOKS, text)
    looks = [*re.findall(_LOOKS, text), ""]
    return "".join(escape_controls(part) + look for part, look in zip(plain, looks, strict=True))


def without_looks(text: str) -> str:
    """Control characters escaped, colours and other looks taken out."""
    return escape_controls(re.sub(_LOOKS, "", text))


def _escaped(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
