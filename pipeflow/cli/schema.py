"""``pipeflow schema``: the JSON Schema of pipeline files, for editors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pipeflow.cli.arguments import Command, file_name
from pipeflow.cli.reading import STDIN, stdin_text
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=file_name,
        help="a pipeline file: the functions beside it, and those it calls, are in the schema",
    )
    parser.add_argument(
        "--stages",
        action="store_true",
        help="the stages and ports of FILE too, as completions of 'inputs'",
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="write to this file")


def _execute(arguments: argparse.Namespace, world: World) -> int:
    text = _schema(arguments, world)
    if arguments.output is None:
        world.answer(text)
        return Exit.DONE
    from pipeflow.cli.write_schema import write_if_new

    try:
        write_if_new(Path(arguments.output), text)
    except OSError as error:
        raise UsageError(f"cannot write {arguments.output}: {error.strerror}") from None
    return Exit.DONE


def _schema(arguments: argparse.Namespace, world: World) -> str:
    from pipeflow.config.schema.file import schema_text
    from pipeflow.stages.registry import stage_types

    if arguments.file is None:
        if arguments.stages:
            raise UsageError("--stages needs a FILE, whose stages they are")
        return schema_text(stage_types())
    from pipeflow.api import Settings, read
    from pipeflow.cli.write_schema import folder_of, schema_of

    text = stdin_text(world) if arguments.file == STDIN else None
    reading = read(arguments.file, Settings(), world.environ, stdin_text=text)
    if reading.loaded.resolved is None:
        # There is nothing to make a schema of: no file, or no mapping in it.
        from pipeflow.errors import InvalidPipeline

        raise InvalidPipeline(reading.findings, dict(reading.sources))
    return schema_of([reading.loaded], folder_of(arguments.file), stages=arguments.stages)


COMMAND: Final = Command(
    name="schema",
    help="print the JSON Schema of pipeline files, for editors",
    add=_add,
    execute=_execute,
)
