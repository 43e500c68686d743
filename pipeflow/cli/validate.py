"""``pipeflow validate``: every mistake of the files at once, without running anything."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from pipeflow.api import Reading
from pipeflow.cli.arguments import Command, add_settings
from pipeflow.cli.formats import github, sarif
from pipeflow.cli.reading import count_of, read_file
from pipeflow.cli.wording import plural
from pipeflow.cli.world import Exit, World
from pipeflow.errors import Finding, Severity

FORMATS: Final = ("text", "json", "github", "sarif")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="pipeline files; - is stdin")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to print (text)")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    text = arguments.format == "text"
    findings: list[Finding] = []
    marred = 0
    for file in arguments.files:
        reading = read_file(file, arguments, world)
        findings += reading.findings
        marred += bool(reading.findings)
        if text:
            world.answer(_told(file, reading, world))
    if not text:
        _answer(findings, arguments.format, world)
    if findings:
        world.say(f"{count_of(findings)} in {plural(marred, 'file')}")
    fatal = any(each.severity is Severity.ERROR for each in findings)
    return Exit.INVALID if fatal or (arguments.strict and findings) else Exit.DONE


def _told(file: str, reading: Reading, world: World) -> str:
    from pipeflow.config.render import render_text

    if not reading.findings:
        return f"{file}: ok"
    color = world.stdout.isatty() and not world.environ.get("NO_COLOR")
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
