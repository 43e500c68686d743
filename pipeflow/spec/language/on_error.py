"""``on_error`` of a stage, in its long form: what follows when an item fails."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import OnError
from pipeflow.spec.table import Table

#: What each word for it means.
THEN_DOCS: Final = (
    "The run ends, and says why.",
    "The item is left out, and counted.",
    "The item goes to port `errors`, which must be read.",
)

ERROR_POLICY: Final = Table(
    name="error policy",
    title="an error policy",
    options=(
        Option(
            name="then",
            types=(OptionType.STRING,),
            default=OnError.STOP.value,
            choices=tuple(choice.value for choice in OnError),
            choice_docs=THEN_DOCS,
            description="What follows when the last try has failed too.",
        ),
        Option(
            name="retries",
            types=(OptionType.INTEGER,),
            default=0,
            minimum=0,
            maximum=10**6,
            aliases=("retry", "attempts", "max_retries", "tries"),
            description="How often an item that fails is tried again. Its results are held until "
            "it is done, and leave together.",
            examples=(3,),
        ),
        Option(
            name="backoff",
            types=(OptionType.DURATION,),
            default="200ms",
            unit="seconds",
            aliases=("delay", "wait", "retry_delay"),
            description="The wait before an item is tried again, twice as long before each "
            "further try, at most 30s.",
            examples=("1s",),
        ),
        Option(
            name="budget",
            types=(OptionType.INTEGER, OptionType.PERCENT),
            default=None,
            minimum=0,
            maximum=2**53,
            pattern=r"[0-9]+(\.[0-9]+)? ?%",
            aliases=("limit", "max_errors", "tolerance"),
            description="How many items all replicas together may skip or dead-letter; one more "
            "ends the run. A percentage is judged from 100 items on, and at the end.",
            examples=(100, "1%"),
        ),
    ),
)
