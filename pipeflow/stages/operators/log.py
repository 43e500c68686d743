"""log: items in the run's log, on their way."""

from __future__ import annotations

import reprlib
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.author import log
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression

_LEVELS: Final = {
    "debug": "for finding a mistake; shown with `--log-level debug`",
    "info": "good to know",
    "warning": "may be wrong",
    "error": "is wrong; the run goes on",
}


@operator(
    name="log",
    role=Role.OPERATOR,
    summary="Writes a line for each item to the run's log, and passes the item on.",
    options=(
        Option(
            name="message",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="What to write; a short view of the item when left out. `None`: no line.",
            examples=("f\"slow: {item['path']}\"", '"empty" if not item else None'),
        ),
        Option(
            name="level",
            types=(OptionType.STRING,),
            default="info",
            description="How much the line matters.",
            choices=tuple(_LEVELS),
            choice_docs=tuple(_LEVELS.values()),
        ),
        Option(
            name="every",
            types=(OptionType.INTEGER,),
            default=1,
            description="Write of the first of so many items; each replica counts its own.",
            unit="items",
            minimum=1,
            examples=(1000,),
        ),
    ),
    one_to_one=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  watched:
    use: log
    inputs: numbers
    with:
      message: 'f"at {item}"'
      every: 5

  show:
    use: print
    inputs: watched
""",
)
class LogItems:
    """Counts to the next line."""

    def __init__(self, message: Expression | None, level: str, every: int) -> None:
        self._message = message
        self._tell = getattr(log, level)
        self._every = every
        self._left = 0
        self._short = reprlib.Repr()
        self._short.maxstring = self._short.maxother = 200
        self._short.maxdict = 10

    def __call__(self, item: Any) -> Any:
        if not self._left:
            text = self._short.repr(item) if self._message is None else self._message(item)
            if text is not None:
                self._tell(text)
            self._left = self._every
        self._left -= 1
        return item
