"""``resources`` of a stage: what its processes may use."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

RESOURCES: Final = Table(
    name="resources",
    title="resources",
    options=(
        Option(
            name="cpus",
            types=(OptionType.LIST,),
            default=None,
            description="Numbers of the processors that the workers are bound to.",
            examples=([0, 1],),
        ),
        Option(
            name="threads",
            types=(OptionType.INTEGER,),
            default=None,
            minimum=1,
            maximum=4096,
            description="Threads of BLAS and OpenMP in each worker; "
            "cores over workers when left out.",
            examples=(1,),
        ),
        Option(
            name="memory",
            types=(OptionType.SIZE,),
            default=None,
            unit="bytes",
            description="Private memory of each worker; shared arrays do not count.",
            examples=("2GiB",),
        ),
        Option(
            name="gpus",
            types=(OptionType.LIST,),
            default=None,
            description="Replica *i* sees one of these.",
            examples=([0, 1],),
        ),
        Option(
            name="spin",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Whether a waiting worker may burn processor time for latency.",
        ),
    ),
)
