"""Settings that a stage has, and that ``defaults`` can give to all."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.on_error import THEN_DOCS
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.policies import OnError

REPLICAS: Final = Option(
    name="replicas",
    types=(OptionType.INTEGER, OptionType.STRING),
    default=1,
    choices=("auto",),
    choice_docs=("The cores, divided evenly among the stages that say so.",),
    minimum=1,
    maximum=4096,
    aliases=("workers", "processes", "parallelism", "instances", "scale"),
    description="Parallel workers: a number, or `auto`.",
    examples=(4, "auto"),
)

ON_ERROR: Final = Option(
    name="on_error",
    types=(OptionType.STRING, OptionType.MAPPING),
    default=OnError.STOP.value,
    choices=tuple(choice.value for choice in OnError),
    choice_docs=THEN_DOCS,
    description="What follows when an item fails: one of these words, or a mapping that also "
    "says how often to try again, and how many items may be given up.",
    examples=("skip", {"then": "dead_letter", "retries": 3, "backoff": "1s"}),
)

TIMEOUT: Final = Option(
    name="timeout",
    types=(OptionType.DURATION,),
    default=None,
    unit="seconds",
    aliases=("time_limit", "deadline", "max_time"),
    description="Longest time in your function for one item (one batch, one attempt); waits for "
    "edges do not count. An item that takes longer has failed, and `on_error` says what follows. "
    "Not for sources and stream functions.",
    examples=("30s",),
)

RESOURCES: Final = Option(
    name="resources",
    types=(OptionType.MAPPING,),
    default=None,
    description="What the stage's processes may use.",
    examples=({"threads": 1, "memory": "2GiB"},),
)

ENV: Final = Option(
    name="env",
    types=(OptionType.MAPPING,),
    default=None,
    aliases=("environment",),
    description="Environment for the stage's processes; `${replica}` is the worker's number.",
    examples=({"MODEL": "large"},),
)
