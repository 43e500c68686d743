"""``join`` of a stage, by key: how its named inputs meet."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import DEFAULT_WITHIN_ITEMS
from pipeflow.spec.table import Table

JOIN: Final = Table(
    name="join by key",
    title="a join by key",
    options=(
        Option(
            name="key",
            types=(OptionType.EXPRESSION, OptionType.MAPPING),
            aliases=("on", "by", "keys"),
            description="Items for which this Python expression over `item` gives equal values "
            "meet, one to one; a mapping gives each input an expression of its own. `None` meets "
            "nothing.",
            examples=('item["id"]', {"order": 'item["id"]', "payment": 'item["order"]'}),
        ),
        Option(
            name="within",
            types=(OptionType.INTEGER, OptionType.DURATION),
            default=DEFAULT_WITHIN_ITEMS,
            minimum=1,
            maximum=2**31 - 1,
            aliases=("window", "timeout", "tolerance"),
            description="How long an item waits for its partner: so many further items on its own "
            "input, or a time. Then it goes to port `unmatched`. The number also bounds "
            "how many items are held.",
            examples=(1000, "5s"),
        ),
    ),
)
