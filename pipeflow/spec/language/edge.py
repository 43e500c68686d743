"""An edge, in its long form: what is read, and how it crosses."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.names import NAME_PATTERN
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import ArrayMode, Overflow, TransportKind
from pipeflow.spec.table import Table

CAPACITY: Final = Table(
    name="capacity",
    title="a capacity",
    options=(
        Option(
            name="items",
            types=(OptionType.INTEGER,),
            default=256,
            unit="items",
            minimum=1,
            maximum=2**31 - 1,
            description="Items between the writer's function and the reader's, "
            "for each reading replica.",
            examples=(8,),
        ),
        Option(
            name="bytes",
            types=(OptionType.SIZE,),
            default="64MiB",
            unit="bytes",
            description="Bytes of arrays among them; one item, or one batch, always fits.",
            examples=("1GiB",),
        ),
    ),
)

_EDGE_SETTINGS: Final = (
    Option(
        name="transport",
        types=(OptionType.STRING,),
        default=TransportKind.AUTO.value,
        choices=tuple(kind.value for kind in TransportKind),
        choice_docs=(
            "The planner takes what suits the edge.",
            "One pipe for each writer and reader.",
            "Many writers and readers on one buffer.",
        ),
        description="How the bytes of the edge cross. Whichever it is, all promises hold.",
    ),
    Option(
        name="capacity",
        types=(OptionType.INTEGER, OptionType.MAPPING),
        default=256,
        unit="items",
        minimum=1,
        maximum=2**31 - 1,
        description="How much the edge holds for each reading replica before its writer waits: "
        "a number of items, or `items` and `bytes`.",
        examples=(8, {"items": 8, "bytes": "1GiB"}),
    ),
    Option(
        name="overflow",
        types=(OptionType.STRING,),
        default=Overflow.BLOCK.value,
        choices=tuple(choice.value for choice in Overflow),
        choice_docs=(
            "The writer waits.",
            "The oldest item that still waits is dropped, and counted.",
            "The new item is dropped, and counted.",
        ),
        description="What a full edge does with the next item.",
    ),
    Option(
        name="arrays",
        types=(OptionType.STRING,),
        default=ArrayMode.SHARED.value,
        choices=tuple(mode.value for mode in ArrayMode),
        choice_docs=(
            "Large buffers are read-only views of shared memory.",
            "The reader gets private, writable arrays.",
        ),
        description="How the reader gets arrays.",
    ),
)

EDGE_DEFAULTS: Final = Table(
    name="edge defaults",
    title="the defaults of edges",
    options=_EDGE_SETTINGS,
    within={"capacity": CAPACITY},
)

EDGE: Final = Table(
    name="edge",
    title="an edge",
    options=(
        Option(
            name="from",
            types=(OptionType.STRING,),
            pattern=rf"{NAME_PATTERN}(\.{NAME_PATTERN})?",
            description="The output that is read: `stage`, or `stage.port`.",
            examples=("shrink", "segment.masks"),
        ),
        *_EDGE_SETTINGS,
    ),
    within={"capacity": CAPACITY},
)
