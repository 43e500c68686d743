"""jsonl.read: the values of a file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeflow.spec.stage_type import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.opening import COMPRESSION, PATH, Input, lines_of
from pipeflow.stages.work import BadRecord


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
        return self._parsed(lines_of(self._input.open()))

    def _parsed(self, lines: Iterator[bytes]) -> Iterator[Any]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line.decode())
            # RecursionError: brackets nested by the thousand, which no honest file has.
            except (ValueError, RecursionError) as error:
                place = f"{self._input.name}, line {number}"
                text = line.decode(errors="backslashreplace")
                yield BadRecord(text, ValueError(f"{place}: {error}"))

    def close(self) -> None:
        """Close the file."""
        self._input.close()
