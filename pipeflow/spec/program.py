"""Program: an external program as the work of a stage, as the file has it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from pipeflow.values import dataclass

#: Characters of a command that tables show.
_SHOWN_CHARS: Final = 40


class ProgramMode(Enum):
    """How a program meets the items."""

    STREAM = "stream"  #: one program for the whole stream
    ITEM = "item"  #: one line in, one line out
    EACH = "each"  #: one program an item


class ItemFormat(Enum):
    """How items are written to a program, and read from it."""

    LINES = "lines"  #: the text of an item is its line
    JSONL = "jsonl"  #: a line of JSON an item


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An external program, and how it is spoken to.

    Attributes:
        command: Its name and its arguments, as they are spelled; no shell reads them.
        mode: How it meets the items.
        format: How items are written and read; ``None``: by what they are.
    """

    command: tuple[str, ...]
    mode: ProgramMode = ProgramMode.STREAM
    format: ItemFormat | None = None

    def __post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise ValueError("a program has a name")

    @property
    def name(self) -> str:
        """What people call it: the last part of its path."""
        return self.command[0].rstrip("/").rpartition("/")[2] or self.command[0]

    @property
    def shown(self) -> str:
        """The command on one short line."""
        import shlex  # only for showing

        line = " ".join(shlex.join(self.command).split())
        return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"
