"""print: shows items on standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.context import current
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import aligned, json_text
from pipeflow.stages.sinks.output import StandardOutput

#: Rows that ``format: table`` keeps for its end: memory does not grow with the stream.
TABLE_ROWS: Final = 10_000


@operator(
    name="print",
    role=Role.SINK,
    summary="Prints each item on standard output.",
    details="When standard output is closed, as by `head`, it asks for no more items. The values "
    "of secret params are shown as `***`; `jsonl.write` and the other writers with `path: '-'` "
    "write items as they are.",
    options=(
        Option(
            name="format",
            types=(OptionType.STRING,),
            default="auto",
            description="How to show an item.",
            choices=("auto", "text", "json", "table"),
            choice_docs=(
                "dicts and lists as JSON, anything else as text",
                "as Python's `print` shows it",
                "as one line of JSON",
                f"an aligned table at the end, of dicts or of values, {TABLE_ROWS:,} rows at most",
            ),
        ),
        Option(
            name="end",
            types=(OptionType.STRING,),
            default="\n",
            description="What follows each item; not for `table`.",
        ),
    ),
    keeps_state=True,
    may_drop=True,
    single=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  squares:
    use: map
    inputs: numbers
    with:
      expr: '{"number": item, "square": item * item}'

  show:
    use: print
    inputs: squares
    with:
      format: table
""",
)
class Print:
    """Prints as the items come; a table at the end."""

    def __init__(self, format: str, end: str) -> None:
        context = current()
        self._mask = str if context is None else context.mask
        self._output = StandardOutput()
        self._end = end
        self._is_table = format == "table"
        self._text: Callable[[Any], str] = _TEXTS.get(format, str)
        self._rows: list[Mapping[str, object]] = []
        self._not_shown = 0

    def __call__(self, item: Any) -> None:
        if not self._is_table:
            self._output.write(self._mask(self._text(item)) + self._end)
        elif len(self._rows) < TABLE_ROWS:
            self._rows.append(_row(item))
        else:
            self._not_shown += 1

    def finish(self) -> None:
        """Print the table."""
        lines = aligned(self._rows) if self._rows else []
        if self._not_shown:
            lines.append(f"... and {self._not_shown:,} rows more")
        if lines:
            self._output.write(self._mask("\n".join(lines)) + "\n")


def _auto(item: Any) -> str:
    return json_text(item, lenient=True) if isinstance(item, dict | list) else str(item)


_TEXTS: Final[Mapping[str, Callable[[Any], str]]] = {"auto": _auto, "text": str, "json": json_text}


def _row(item: Any) -> Mapping[str, object]:
    """An item as a row; what is no mapping has one column."""
    return {str(k): v for k, v in item.items()} if isinstance(item, Mapping) else {"item": item}
