"""Words of the command line that are reserved: each is refused with a sentence until it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeflow.errors import UsageError

#: Command to what can be done today.
COMMANDS: Final[Mapping[str, str]] = {
    "top": "'pipeflow run' shows a live table of its stages",
    "tap": "'pipeflow run FILE --until STAGE --take N' prints the first items of a stage",
    "rerun": "run the file again with the dead letters as its input",
    "replay": "run the file again; with the same '--seed' random numbers are the same",
    "bench": "'pipeflow run FILE --report FILE' measures every stage and edge",
    "doctor": "'pipeflow plan FILE' shows what a file needs of this machine",
    "diff": "compare what 'pipeflow show FILE' prints for each",
}

#: Option to what can be done today.
OPTIONS: Final[Mapping[str, str]] = {
    "--resume": "a run begins at the beginning",
    "--dashboard": "'pipeflow run' shows a live table of its stages",
}


def refuse_command(name: str) -> UsageError:
    """Give the error for a command that is not there yet."""
    return UsageError(f"'pipeflow {name}' comes in a later version; {COMMANDS[name]}")


def refuse_option(name: str) -> UsageError:
    """Give the error for an option that is not there yet."""
    return UsageError(f"'{name}' comes in a later version; {OPTIONS[name]}")
