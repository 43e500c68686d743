"""``pipeflow schema``: the JSON Schema of pipeline files, for editors."""

from __future__ import annotations

import argparse
from typing import Final

from pipeflow.cli.arguments import Command
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help=argparse.SUPPRESS)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.config.schema import schema_text
    from pipeflow.stages.registry import stage_types

    if arguments.file is not None:
        raise UsageError(
            "'pipeflow schema FILE' comes in a later version;"
            " 'pipeflow schema' prints the schema of the language and the built-in operators"
        )
    world.answer(schema_text(stage_types()))
    return Exit.DONE


COMMAND: Final = Command(
    name="schema",
    help="print the JSON Schema of pipeline files, for editors",
    add=_add,
    execute=_execute,
)
