"""An operator that changes each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeflow.plugins import Misuse, Option, OptionType, Role, operator


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    if given.get("case") == "upper" and given.get("times") == 1:
        return [Misuse("case", "one thing has no case", "times: 2")]
    return []


@operator(
    name="acme/thing",
    role=Role.OPERATOR,
    summary="Repeats each item, " + "as text.",
    details="Numbers are repeated by their digits.",
    options=(
        Option(
            name="times",
            types=(OptionType.INTEGER,),
            default=2,
            description="How often.",
            minimum=1,
            maximum=9,
        ),
        Option(
            name="case",
            types=(OptionType.STRING,),
            default="as-is",
            description="What becomes of letters.",
            choices=("as-is", "upper"),
            choice_docs=("they stay", "they become capitals"),
        ),
    ),
    one_to_one=True,
    judge=_judge,
    gives="str",
)
def thing(item: Any, times: int, case: str) -> str:
    """Repeat an item."""
    text = str(item) * times
    return text.upper() if case == "upper" else text
