"""``pipeflow explain``: what an error code means."""

from __future__ import annotations

import argparse
from typing import Final

from pipeflow.cli.arguments import Command, suggestion
from pipeflow.cli.codes import CODES
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "code", metavar="CODE", help="what stands in error[...], such as unknown-stage"
    )


def _execute(arguments: argparse.Namespace, world: World) -> int:
    code = arguments.code.strip("[]")
    if code not in CODES:
        if code.endswith(".json"):
            raise UsageError(
                "'explain REPORT' comes in a later version;"
                " 'bottleneck' and 'errors' of the report say most of it"
            )
        raise UsageError(f"there is no error code '{code}'{suggestion(code, CODES)}")
    world.answer(f"{code}\n\n{CODES[code]}")
    return Exit.DONE


COMMAND: Final = Command(
    name="explain",
    help="explain an error code",
    add=_add,
    execute=_execute,
)
