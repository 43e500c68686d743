"""``batch`` of a stage: how many items its function gets at once."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

BATCH: Final = Table(
    name="batch",
    title="a batch",
    options=(
        Option(
            name="size",
            types=(OptionType.INTEGER,),
            unit="items",
            minimum=1,
            maximum=10**6,
            aliases=("items", "count", "max", "batch_size"),
            description="How many items the function gets at once; fewer at the end.",
            examples=(64,),
        ),
        Option(
            name="wait",
            types=(OptionType.DURATION,),
            default=None,
            unit="seconds",
            aliases=("timeout", "linger", "max_wait", "period"),
            description="How long after its first item a batch goes to the function, however few "
            "it has then; for ever when left out.",
            examples=("50ms",),
        ),
        Option(
            name="stack",
            types=(OptionType.BOOLEAN,),
            default=False,
            aliases=("stacked", "array"),
            description="Whether the function gets one array, with the items along its first axis, "
            "in place of a list of arrays; it may return such an array.",
        ),
    ),
)
