"""``run`` of a stage: an external program."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.program import ItemFormat, ProgramMode
from pipeflow.spec.table import Table

PROGRAM: Final = Table(
    name="program",
    title="a program",
    options=(
        Option(
            name="cmd",
            types=(OptionType.LIST,),
            aliases=("command", "args", "argv", "run", "program"),
            description="The program and its arguments; no shell reads them.",
            examples=(["sort", "-n"],),
        ),
        Option(
            name="mode",
            types=(OptionType.STRING,),
            default=ProgramMode.STREAM.value,
            choices=tuple(mode.value for mode in ProgramMode),
            choice_docs=(
                "One program for the whole stream: it reads all items, and writes what it likes.",
                "One line in, one line out, written at once: replicas, order, `on_error` hold.",
                "One program an item: bytes in, bytes out.",
            ),
            description="How the program meets the items.",
        ),
        Option(
            name="format",
            types=(OptionType.STRING,),
            default=None,
            choices=tuple(form.value for form in ItemFormat),
            choice_docs=(
                "An item is the text of a line.",
                "An item is a line of JSON.",
            ),
            description="How items are written and read: `lines` for text items, else `jsonl`, "
            "when left out.",
        ),
    ),
)
