"""jsonl.read: the values of a file of JSON lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.opening import COMPRESSION, PATH, Input
from pipeflow.stages.work import BadRecord

#: What JSON lets stand around a value.
_BLANKS: Final = b" \t\r\n"


@operator(
    name="jsonl.read",
    role=Role.SOURCE,
    summary="The values of a file with one JSON value a line.",
    details=(
        "Empty lines are skipped, and `null` is no item. A line that is no JSON is a bad record; "
        "its item is the text."
    ),
    options=(PATH, COMPRESSION),
    single=True,
    uses_stdin=True,
    example="""
stages:
  read:
    use: jsonl.read
    with:
      path: people.jsonl

  adults:
    use: filter
    inputs: read
    with:
      where: 'item["age"] >= 18'

  show:
    use: print
    inputs: adults
""",
    example_files={"people.jsonl": '{"name": "Ada", "age": 36}\n{"name": "Tim", "age": 7}\n'},
)
class ReadJsonLines:
    """Reads and parses lines as they are asked for."""

    def __init__(self, path: Path, compression: str) -> None:
        self._input = Input(path, compression)

    def __call__(self) -> Iterator[Any]:
        return self._parsed(self._input.open())

    def _parsed(self, lines: Iterable[bytes]) -> Iterator[Any]:
        # Five times as fast as json.loads, which looks at its arguments and for blanks each time.
        decode = json.JSONDecoder().raw_decode
        for number, line in enumerate(lines, 1):
            data = line.strip(_BLANKS)
            if number == 1:
                data = data.removeprefix(codecs.BOM_UTF8)
            if not data:
                continue
            try:
                text = data.decode()
                value, end = decode(text)
                if end != len(text):
                    raise json.JSONDecodeError("Extra data", text, end)
            # RecursionError: brackets nested by the thousand, which no honest file has.
            except (ValueError, RecursionError) as error:
                place = f"{self._input.name}, line {number}"
                item = data.decode(errors="backslashreplace")
                yield BadRecord(item, ValueError(f"{place}: {error}"))
            else:
                yield value

    def close(self) -> None:
        """Close the file."""
        self._input.close()
