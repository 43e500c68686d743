"""``tests``: what is given to the pipeline, and what is expected of it."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.names import DESCRIPTION
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

EXPECTATION: Final = Table(
    name="expectation",
    title="an expectation",
    options=(
        Option(
            name="count",
            types=(OptionType.INTEGER,),
            default=None,
            unit="items",
            minimum=0,
            description="How many items there must be.",
            examples=(2,),
        ),
        Option(
            name="contains",
            types=(OptionType.LIST,),
            default=None,
            description="Items that must be among them, in any order.",
            examples=(["first", "last"],),
        ),
        Option(
            name="each",
            types=(OptionType.EXPRESSION,),
            default=None,
            description="A Python expression over `item` that must hold for every item.",
            examples=('item["width"] <= 64',),
        ),
    ),
)

TEST: Final = Table(
    name="test",
    title="a test",
    options=(
        DESCRIPTION,
        Option(
            name="params",
            types=(OptionType.MAPPING,),
            default=None,
            description="Values of the file's params for this test.",
            examples=({"width": 64},),
        ),
        Option(
            name="given",
            types=(OptionType.MAPPING,),
            default=None,
            description="Items that stand in place of a stage's output: `stage` or `stage.port`, "
            "and a list. Without it the sources run.",
            examples=({"find": ["photos/a.jpg", "photos/b.jpg"]},),
        ),
        Option(
            name="expect",
            types=(OptionType.MAPPING,),
            description="What stages must emit, or what must reach a sink: `stage` or "
            "`stage.port`, and the exact items, or `count`, `contains`, `each`.",
            examples=({"shrink": {"count": 2}, "broken": []},),
        ),
    ),
    each={"expect": EXPECTATION},
)
