"""Masking: secrets and control characters taken out of texts that people and files get to see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

MASK: Final = "***"

#: C0 and C1 controls but tab and newline, and what turns the direction of writing
#: (``CVE-2021-42574``).
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)

#: Colours and other looks of text, as terminals know them.
_LOOKS: Final = re.compile(r"\x1b\[[0-9;]*m")


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Make a function that replaces every secret in a text by ``***``.

    A secret is also looked for as ``repr`` spells it, since that is how it stands in tracebacks.
    """
    spellings = {spelling for secret in secrets for spelling in (secret, repr(secret)[1:-1])}
    spellings.discard("")
    if not spellings:
        return lambda text: text
    # Longest first: a secret that begins with another one is replaced as a whole.
    ordered = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(spelling) for spelling in ordered))
    return lambda text: pattern.sub(MASK, text)


def escape_controls(text: str) -> str:
    r"""Write control and bidirectional characters as ``\x1b``, ``\u202e``; not tab and newline."""
    return _CONTROLS.sub(_escaped, text)


def escape_but_looks(text: str) -> str:
    """The same, with colours and other looks of text left as they are: for a terminal."""
    plain = _LOOKS.split(text)
    looks = [*_LOOKS.findall(text), ""]
    return "".join(escape_controls(part) + look for part, look in zip(plain, looks, strict=True))


def without_looks(text: str) -> str:
    """Control characters escaped, colours and other looks taken out."""
    return escape_controls(_LOOKS.sub("", text))


def _escaped(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
