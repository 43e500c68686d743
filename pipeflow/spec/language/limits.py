"""``limits``: bounds of the whole run."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

LIMITS: Final = Table(
    name="limits",
    title="limits",
    options=(
        Option(
            name="memory",
            types=(OptionType.SIZE,),
            default=None,
            unit="bytes",
            description="What shared arrays of the whole run may take; half of what the machine "
            "has free when left out.",
            examples=("4GiB",),
        ),
        Option(
            name="processes",
            types=(OptionType.INTEGER,),
            default=None,
            minimum=1,
            maximum=2**22,
            description="Most worker processes of the run.",
            examples=(64,),
        ),
    ),
)
