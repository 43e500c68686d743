"""From the bytes of a file to text: UTF-8 only, bounded, without control characters."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeflow.config.lines import Lines
from pipeflow.errors import Finding, Location

#: Largest pipeline file, in bytes.
MAX_BYTES: Final = 10**6

# These are compiled when a text is not plain ASCII: that takes 1 ms, as long as a small file.
#: All that YAML does not allow in a file as it is.
#: Spelled by those that are forbidden: of all that are allowed it would take 2 ms to compile.
_CONTROL: Final = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
#: Marks that turn the direction of text: what is read is not what is run.
BIDI: Final = "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
#: Those of them that reach over what follows; the others are part of ordinary writing.
_TURNS: Final = "[\u202a\u202b\u202d\u202e\u2066-\u2068]"
_ENDS_OF_LINES: Final = "[\n\r\x85\u2028\u2029]"
_MOST_FINDINGS: Final = 5
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode(
    data: bytes | str, file: str, via: Location | None = None
) -> tuple[str, tuple[Finding, ...], bool]:
    """Text of a file, what is wrong with it, and whether it is worth parsing.

    Characters that YAML forbids come back as U+FFFD, so every index stays what it was.
    For ``via`` see ``Location``.
    """
    start = Location(file, 1, 1, via)
    if len(data) > MAX_BYTES:
        problem = f"{len(data) / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB"
        return "", (_finding(start, "too-large", problem, "keep data in files of its own"),), False
    if isinstance(data, bytes):
        if data.startswith(_UTF16) or b"\0" in data[:2]:
            return "", (_finding(start, "encoding", "encoded as UTF-16", "save as UTF-8"),), False
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            return data.decode("utf-8", "replace"), (_not_utf8(data, start, error.start),), False
    else:
        text = data
    # A byte order mark says nothing in UTF-8, and no column counts it.
    text = text.removeprefix("\ufeff")
    lines = Lines(file, text, via)
    if "\0" in text:
        hint = "save the pipeline as plain text in UTF-8"
        problem = "NUL character; is this a binary or UTF-16 file?"
        at = lines.at(text.index("\0"))
        nul = Finding(at=at, code="control-character", problem=problem, hint=hint)
        return text.replace("\0", "\ufffd"), (nul,), False
    if _is_plain(text.replace("\n", "").replace("\r", "").replace("\t", "")):
        return text, (), True
    return re.sub(_CONTROL, "\ufffd", text), tuple(_control_characters(lines)), True


def odd_character(name: str) -> str | None:
    """A control or direction character in a name, as ``U+001B``; ``None`` without one."""
    if _is_plain(name):
        return None
    found = re.search(_CONTROL, name) or re.search(BIDI, name) or re.search(_ENDS_OF_LINES, name)
    return None if found is None else f"U+{ord(found[0]):04X}"


def _is_plain(text: str) -> bool:
    """Whether there is nothing but printed ASCII characters."""
    return text.isascii() and text.isprintable()


def _control_characters(lines: Lines) -> Iterator[Finding]:
    for count, found in enumerate(re.finditer(_CONTROL, lines.text)):
        if count == _MOST_FINDINGS:
            return
        before = lines.line(lines.number(found.start()))[: lines.at(found.start()).column - 1]
        where = "" if re.search(r":\s|#", before) else " in a name"
        yield Finding(
            at=lines.at(found.start()),
            code="control-character",
            problem=f"control character U+{ord(found[0]):04X}{where}",
            hint='remove it, or write it as an escape in double quotes: "\\x1b"',
        )
    for found in islice(re.finditer(_TURNS, lines.text), _MOST_FINDINGS):
        point = f"{ord(found[0]):04X}"
        yield Finding(
            at=lines.at(found.start()),
            code="control-character",
            problem=f"U+{point} turns the direction of text: what is read is not what is run",
            hint=f'remove it, or write it as an escape in double quotes: "\\u{point.lower()}"',
        )


def _not_utf8(data: bytes, file: Location, start: int) -> Finding:
    before = data[:start].decode("utf-8")
    at = Lines(file.file, before + "?", file.via).at(len(before.removeprefix("\ufeff")))
    return Finding(
        at=at,
        code="encoding",
        problem=f"byte 0x{data[start]:02x} is not UTF-8",
        hint="looks like Latin-1: iconv -f latin1 -t utf8",
    )


def _finding(at: Location, code: str, problem: str, hint: str) -> Finding:
    return Finding(at=at, code=code, problem=problem, hint=hint)
