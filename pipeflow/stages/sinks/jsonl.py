"""jsonl.write: items as JSON lines."""

from __future__ import annotations

from pathlib import Path

from pipeflow.spec.stage_type import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import json_text
from pipeflow.stages.sinks.output import COMPRESSION, LIVE, PATH, open_output


@operator(
    name="jsonl.write",
    role=Role.SINK,
    summary="Writes each item as one line of JSON.",
    details=(
        "Paths, dates and bytes become text, numpy numbers numbers, arrays and sets lists, "
        "dataclasses objects. An object of another class is an error of its item."
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
        self._output.write(json_text(item) + "\n")

    def finish(self) -> None:
        """Give the file its name."""
        self._output.commit()

    def close(self) -> None:
        """Close the file."""
        self._output.close()
