"""jsonl.write: items as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import json_text
from pipeflow.stages.sinks.output import COMPRESSION, LIVE, PATH, open_output

#: Keys by which a dead letter is known, whatever the item in it.
_DEAD_LETTER: Final = frozenset({"item", "id", "stage", "replica", "attempt", "error"})


@operator(
    name="jsonl.write",
    role=Role.SINK,
    summary="Writes each item as one line of JSON.",
    details=(
        "Paths, dates and bytes become text, numpy numbers numbers, arrays and sets lists, "
        "dataclasses objects. An object of another class is an error of its item; in dead letters "
        "it is written as Python shows it, so that they can always be kept."
    ),
    options=(PATH, LIVE, COMPRESSION),
    keeps_state=True,
    may_drop=True,
    single=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  records:
    use: map
    inputs: numbers
    with:
      expr: '{"number": item, "square": item * item}'

  save:
    use: jsonl.write
    inputs: records
    with:
      path: out/squares.jsonl
""",
)
class WriteJsonLines:
    """Writes as the items come; the file gets its name at the end."""

    def __init__(self, path: Path, live: bool, compression: str) -> None:
        self._output = open_output(path, live=live, compression=compression)

    def __call__(self, item: object) -> None:
        self._output.write(json_text(item, lenient=_is_dead_letter(item)) + "\n")

    def finish(self) -> None:
        """Give the file its name."""
        self._output.commit()

    def close(self) -> None:
        """Close the file."""
        self._output.close()


def _is_dead_letter(item: object) -> bool:
    return isinstance(item, dict) and item.keys() >= _DEAD_LETTER
