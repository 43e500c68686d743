"""lines: the lines of a text file, or of standard input."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.opening import COMPRESSION, ENCODING, PATH, Input, lines_of
from pipeflow.stages.work import BadRecord


@operator(
    name="lines",
    role=Role.SOURCE,
    summary="The lines of a text file, or of standard input, without their ends.",
    details="A line that cannot be decoded is a bad record; its item is the bytes.",
    options=(PATH, COMPRESSION, ENCODING),
    single=True,
    uses_stdin=True,
    gives="str",
    example="""
stages:
  read:
    use: lines
    with:
      path: poem.txt

  shout:
    use: map
    inputs: read
    with:
      expr: "item.upper()"

  show:
    use: print
    inputs: shout
""",
    example_files={"poem.txt": "The fog comes\non little cat feet.\n"},
)
class Lines:
    """Reads lines as they are asked for."""

    def __init__(self, path: Path, compression: str, encoding: str) -> None:
        self._input = Input(path, compression)
        self._encoding = codecs.lookup(encoding).name

    def __call__(self) -> Iterator[str | BadRecord]:
        if "\n".encode(self._encoding) != b"\n":
            # In UTF-16 and the like a line's end is no single byte, and after a bad one nothing
            # can be told: such a file is read as a whole text, and a bad byte ends the run.
            text = self._input.open_text(self._encoding, errors="strict", newline=None)
            return (line.removesuffix("\n").removeprefix("\ufeff") for line in text)
        return self._decoded(lines_of(self._input.open()))

    def _decoded(self, lines: Iterator[bytes]) -> Iterator[str | BadRecord]:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode(self._encoding)
            except UnicodeDecodeError as error:
                place = f"{self._input.name}, line {number}"
                yield BadRecord(line, ValueError(f"{place}: {error}"))

    def close(self) -> None:
        """Close the file."""
        self._input.close()
