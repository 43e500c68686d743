"""Modules of ours that a worker needs for some plans only: all others do without them."""

from __future__ import annotations

from typing import Final

#: Where an operator is used.
_OF_OPERATORS: Final = ("pipeflow.stages.declare", "pipeflow.stages.registry")

#: Where items are spread, or meet, by a key.
_OF_KEYS: Final = ("pipeflow.stages.expression", "pipeflow.stages.keys")


def late_modules(*, operators: bool, keys: bool) -> tuple[str, ...]:
    """What is to be loaded before any code of the author's.

    A module beside the file, such as a json.py, must not stand in the way of our own imports.
    """
    return (*(_OF_OPERATORS if operators else ()), *(_OF_KEYS if keys else ()))
