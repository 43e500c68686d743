"""``partition`` of a stage, by key: which items meet in one replica."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

PARTITION: Final = Table(
    name="partition",
    title="a partition",
    options=(
        Option(
            name="key",
            types=(OptionType.EXPRESSION,),
            description="Items for which this Python expression over `item` gives equal values "
            "meet in one replica.",
            examples=('item["user"]',),
        ),
    ),
)
