"""``pipeflow validate``: every mistake of the files at once, without running anything."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from pipeflow.api import Reading
from pipeflow.cli.arguments import Command, add_settings, file_name
from pipeflow.cli.formats import github, sarif
from pipeflow.cli.pipeline_files import pipeline_files
from pipeflow.cli.reading import STDIN, count_of, read_file, wants_color
from pipeflow.cli.wording import plural
from pipeflow.cli.world import Exit, World
from pipeflow.errors import Finding, UsageError, errors_of

FORMATS: Final = ("text", "json", "github", "sarif")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=file_name,
        help="pipeline files, or folders with such files below them; - is stdin",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to print (text)")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.add_argument(
        "--write-schema",
        action="store_true",
        help="write .pipeflow/schema.json beside the files: your functions, for editors",
    )
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    text = arguments.format == "text"
    findings: list[Finding] = []
    marred = 0
    files = pipeline_files(arguments.files)
    readings = [(file, read_file(file, arguments, world)) for file in files]
    for file, reading in readings:
        findings += reading.findings
        marred += bool(reading.findings)
        if text:
            world.answer(_told(file, reading, world))
    if not text:
        _answer(findings, arguments.format, world)
    if findings:
        world.say(f"{count_of(findings)} in {plural(marred, 'file')}")
    if arguments.write_schema:
        _write_schema([(file, reading) for file, reading in readings if file != STDIN], world)
    fatal = bool(errors_of(findings))
    return Exit.INVALID if fatal or (arguments.strict and findings) else Exit.DONE


def _write_schema(readings: Sequence[tuple[str, Reading]], world: World) -> None:
    """Keep the project's schema fresh, and tell those files that do not know of it."""
    from pipeflow.cli.write_schema import MODELINE, write_beside

    try:
        places = write_beside([(file, reading.loaded) for file, reading in readings])
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from None
    for place, written in places:
        world.say(f"wrote {place}" if written else f"{place} is fresh")
    strangers = [file for file, reading in readings if MODELINE not in _text(reading)]
    if strangers:
        world.say(f"for editors, write at the top of {', '.join(strangers)}:\n{MODELINE}")


def _text(reading: Reading) -> str:
    return next(iter(reading.sources.values()), "")


def _told(file: str, reading: Reading, world: World) -> str:
    from pipeflow.config.render import render_text, visible

    if not reading.findings:
        return f"{visible(file)}: ok"
    color = wants_color(world.stdout, world)
    return render_text(reading.findings, reading.sources, color=color)


def _answer(findings: Sequence[Finding], form: str, world: World) -> None:
    match form:
        case "json":
            from pipeflow.config.render import render_json

            world.answer(render_json(findings))
        case "sarif":
            world.answer(sarif(findings))
        case _:
            if findings:
                world.answer(github(findings))


COMMAND: Final = Command(
    name="validate",
    help="show every mistake in pipeline files, without running them",
    add=_add,
    execute=_execute,
)
