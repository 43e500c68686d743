"""What things in a file may be called, and what may be said of them."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.options import Option, OptionType

#: What a stage, a parameter, a port may be called.
NAME_PATTERN: Final = "[A-Za-z][A-Za-z0-9_-]{0,63}"

#: What an argument of a Python function may be called: named inputs and ``with``.
ARGUMENT_PATTERN: Final = "[A-Za-z_][A-Za-z0-9_]{0,63}"

#: Of everything that has a name.
DESCRIPTION: Final = Option(
    name="description",
    types=(OptionType.STRING,),
    default="",
    description="What people should know of it.",
)
