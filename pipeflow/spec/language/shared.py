"""``shared``: state that stages share."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shared import DTYPES, SharedKind
from pipeflow.spec.table import Table

SHARED: Final = Table(
    name="shared",
    title="shared state",
    options=(
        Option(
            name="type",
            types=(OptionType.STRING,),
            choices=tuple(kind.value for kind in SharedKind),
            choice_docs=(
                "A dict, in a process of its own: the manager.",
                "A list, in the same process.",
                "One number or truth value, in shared memory.",
                "An array, in shared memory.",
            ),
            description="What it is.",
        ),
        Option(
            name="dtype",
            types=(OptionType.STRING,),
            default=None,
            choices=tuple(DTYPES),
            description="Element type of a value or an array: float64 when left out; that of "
            "`value` if that is a whole number or a truth value.",
        ),
        Option(
            name="shape",
            types=(OptionType.INTEGER, OptionType.LIST),
            default=None,
            unit="elements",
            minimum=1,
            description="Length of each axis of an array.",
            examples=([256], [480, 640, 3]),
        ),
        Option(
            name="value",
            types=(OptionType.NUMBER, OptionType.BOOLEAN),
            default=0,
            description="What a value is at the start, and each element of an array.",
            examples=(1,),
        ),
    ),
)
