"""Items as the bytes that a program reads, and what it writes as items. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final

from pipeflow.errors import ProgramFailed
from pipeflow.spec.program import ItemFormat
from pipeflow.stages.rendering import json_text

#: Bytes of a line that a message shows.
_SHOWN_BYTES: Final = 60
#: Longest line that is waited for.
LONGEST_LINE: Final = 1 << 28


def is_text(item: object) -> bool:
    """Whether an item is its own line: text, or a path."""
    return isinstance(item, str | PurePath)


def format_of(item: object) -> ItemFormat:
    """How an item is written when the file does not say."""
    return ItemFormat.LINES if is_text(item) else ItemFormat.JSONL


def line_of(item: object, form: ItemFormat) -> bytes:
    """An item as one line.

    Raises:
        TypeError: It is no text, or JSON has no form for it.
        ValueError: Its text holds a line break.
    """
    if form is ItemFormat.JSONL:
        return json_text(item).encode("utf-8", "backslashreplace") + b"\n"
    text = text_of(item)
    if "\n" in text:
        raise ValueError(
            "the item's text holds a line break, so the program would read several lines:"
            " `format: jsonl` writes it as one"
        )
    return utf8_of(text) + b"\n"


def text_of(item: object) -> str:
    """A text, or a path as text.

    Raises:
        TypeError: It is neither.
    """
    if not is_text(item):
        raise TypeError(
            f"`format: lines` is for text, and the item is of type {type(item).__name__}:"
            " `format: jsonl` writes it as JSON"
        )
    return str(item)


def utf8_of(text: str) -> bytes:
    """Text as UTF-8; the name of a file that is none crosses as it is."""
    return text.encode("utf-8", "surrogateescape")


def input_of(item: object, form: ItemFormat | None) -> bytes:
    """An item as the whole input of a program of its own.

    Raises:
        TypeError, ValueError: See ``line_of``.
    """
    if form is not None:
        return line_of(item, form)
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    return utf8_of(text_of(item)) if is_text(item) else line_of(item, ItemFormat.JSONL)


def result_of(output: bytes, form: ItemFormat | None, name: str) -> Any:
    """The whole output of a program of its own as one result; of JSON nothing at all is ``None``.

    Raises:
        ProgramFailed: It is not what the format says.
    """
    if form is None:
        return output
    if form is ItemFormat.LINES:
        return decoded(output.removesuffix(b"\n"), f"what program '{name}' wrote")
    return loaded(output, f"what program '{name}' wrote") if output.strip() else None


def decoded(line: bytes, what: str) -> str:
    """Bytes as text.

    Raises:
        ProgramFailed: They are not UTF-8.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProgramFailed(
            f"{what} is not UTF-8 (byte {error.start}: {error.reason}): {_shown(line)}"
        ) from None


def loaded(line: bytes, what: str) -> Any:
    """Bytes as the value that they are in JSON.

    Raises:
        ProgramFailed: They are no JSON.
    """
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        decoded(line, what)
        raise
    except ValueError as error:
        raise ProgramFailed(f"{what} is not JSON ({error}): {_shown(line)}") from None


def _shown(line: bytes) -> str:
    short = line if len(line) <= _SHOWN_BYTES else line[:_SHOWN_BYTES] + b"..."
    return repr(short)


class LineReader:
    """Cuts what a program writes into lines, and makes items of them.

    Args:
        name: Of the program.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._half: list[bytes] = []
        self._half_bytes = 0
        self._count = 0

    def feed(self, data: bytes, form: ItemFormat) -> list[Any]:
        """The items that are whole by now; the rest waits for more.

        Raises:
            ProgramFailed: A line is not what the format says, or has no end.
        """
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        whole = b"".join([*self._half, data[:end]])
        self._half, self._half_bytes = [], 0
        if end + 1 < len(data):
            self._keep(data[end + 1 :])
        return self._items(whole, form)

    def rest(self, form: ItemFormat) -> list[Any]:
        """The program has ended: its last line may lack its end."""
        whole, self._half, self._half_bytes = b"".join(self._half), [], 0
        return self._items(whole, form) if whole else []

    def _keep(self, data: bytes) -> None:
        self._half.append(data)
        self._half_bytes += len(data)
        if self._half_bytes > LONGEST_LINE:
            raise ProgramFailed(
                f"program '{self._name}' wrote a line of more than {LONGEST_LINE >> 20} MiB"
            )

    def _items(self, whole: bytes, form: ItemFormat) -> list[Any]:
        lines = whole.split(b"\n")
        first, self._count = self._count + 1, self._count + len(lines)
        if form is ItemFormat.LINES:
            try:
                return whole.decode("utf-8").split("\n")
            except UnicodeDecodeError:
                return self._each(lines, first, decoded)
        return self._each(lines, first, loaded)

    def _each(self, lines: list[bytes], first: int, make: Callable[[bytes, str], Any]) -> list[Any]:
        return [
            make(line, f"line {number} of what program '{self._name}' wrote")
            for number, line in enumerate(lines, first)
            if make is decoded or line.strip()  # between records of JSON an empty line is nothing
        ]
