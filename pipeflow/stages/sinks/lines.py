"""lines.write: items as lines of text."""

from __future__ import annotations

from pathlib import Path

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import json_text
from pipeflow.stages.sinks.output import COMPRESSION, LIVE, PATH, open_output


@operator(
    name="lines.write",
    role=Role.SINK,
    summary="Writes each item as one line of text.",
    details=(
        "Text is written as it is, in UTF-8, bytes that are UTF-8 likewise; dicts and lists are "
        "written as JSON, anything else as Python's `print` shows it. An item whose text has a "
        "line break in it is an error of the item: it would be two."
    ),
    options=(PATH, LIVE, COMPRESSION),
    keeps_state=True,
    may_drop=True,
    single=True,
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

  save:
    use: lines.write
    inputs: shout
    with:
      path: out/loud.txt
""",
    example_files={"poem.txt": "The fog comes\non little cat feet.\n"},
)
class WriteLines:
    """Writes as the items come; the file gets its name at the end."""

    def __init__(self, path: Path, live: bool, compression: str) -> None:
        self._output = open_output(path, live=live, compression=compression)

    def __call__(self, item: object) -> None:
        line = item if type(item) is str else _text(item)
        if "\n" in line or "\r" in line:
            raise ValueError("a line of text has no line break in it; jsonl.write would keep it")
        self._output.write(line + "\n")

    def finish(self) -> None:
        """Give the file its name."""
        self._output.commit()

    def close(self) -> None:
        """Close the file."""
        self._output.close()


def _text(item: object) -> str:
    if isinstance(item, dict | list):
        return json_text(item)
    return bytes(item).decode() if isinstance(item, bytes | bytearray | memoryview) else str(item)
