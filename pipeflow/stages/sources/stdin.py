"""stdin: the lines of standard input."""

from __future__ import annotations

from pathlib import Path

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.lines import Lines
from pipeflow.stages.sources.opening import COMPRESSION, ENCODING, STDIN


@operator(
    name="stdin",
    role=Role.SOURCE,
    gives="str",
    summary="The lines of standard input, without their ends, as they come.",
    details=(
        "For `cat words.txt | pipeflow run pipeline.yaml`. A line that cannot be decoded is a bad "
        "record; its item is the bytes. For JSON or CSV use `jsonl.read` or `csv.read` with `path: "
        '"-"`. Ctrl-C ends it at once; a line that is not whole by then is left out.'
    ),
    options=(COMPRESSION, ENCODING),
    single=True,
    uses_stdin=True,
    example="""
stages:
  read:
    use: stdin

  long:
    use: filter
    inputs: read
    with:
      where: "len(item) > 3"

  show:
    use: print
    inputs: long
""",
    example_files={"-": "the fog comes\n on\nlittle\n"},
)
class Stdin(Lines):
    """Reads lines as they come."""

    def __init__(self, compression: str, encoding: str) -> None:
        super().__init__(Path(STDIN), compression, encoding)
