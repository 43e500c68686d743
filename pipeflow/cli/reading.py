"""A pipeline file for a command: read from a path or standard input, its findings shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pipeflow.api import Reading, read
from pipeflow.cli.arguments import settings_of
from pipeflow.cli.wording import plural
from pipeflow.cli.world import World
from pipeflow.errors import Finding, InvalidPipeline, by_place, errors_of
from pipeflow.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pipeflow.planner.plan import Plan

#: What stands for standard input.
STDIN = "-"


def read_file(
    file: str,
    arguments: argparse.Namespace,
    world: World,
    expect: Callable[[Pipeline], None] | None = None,
) -> Reading:
    """Read one pipeline file with what is laid over it; for ``expect`` see ``api.read``.

    Raises:
        UsageError: ``--param`` or ``--set`` cannot be understood.
    """
    text = stdin_text(world) if file == STDIN else None
    settings = settings_of(arguments)
    return read(file, settings, world.environ, stdin_text=text, expect=expect)


def require_pipeline(file: str, arguments: argparse.Namespace, world: World) -> Pipeline:
    """Read one pipeline file to look at it, with or without all its params; show its warnings.

    Raises:
        InvalidPipeline: It has mistakes.
        UsageError: ``--param`` or ``--set`` cannot be understood.
    """
    reading = read_file(file, arguments, world)
    pipeline = reading.pipeline or reading.require()
    show_findings(reading.findings, reading.sources, world)
    return pipeline


@contextmanager
def with_sources(reading: Reading) -> Iterator[None]:
    """What the planner finds wrong of a file is shown with the lines of that file.

    Raises:
        InvalidPipeline: With the texts of the files.
    """
    try:
        yield
    except InvalidPipeline as invalid:
        raise InvalidPipeline(invalid.findings, dict(reading.sources)) from None


def doubts(reading: Reading, plan: Plan) -> tuple[Finding, ...]:
    """All warnings of a file that can be run: of what it says, and of what is planned for it."""
    return by_place([*reading.findings, *plan.warnings])


def stdin_text(world: World) -> str:
    """All of standard input; what is not UTF-8 becomes replacement characters."""
    if world.stdin is sys.stdin:
        return sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    return world.stdin.read()


def show_findings(findings: Sequence[Finding], sources: Mapping[str, str], world: World) -> None:
    """Print findings where they do not mix with results."""
    if findings:
        from pipeflow.config.render import render_text

        text = render_text(findings, sources, color=wants_color(world.stderr, world))
        world.say(text.removesuffix("\n"))


def wants_color(stream: TextIO, world: World) -> bool:
    """Whether a stream leads to a terminal that may be coloured."""
    return (
        stream.isatty()
        and not world.environ.get("NO_COLOR")
        and world.environ.get("TERM") != "dumb"
    )


def count_of(findings: Sequence[Finding]) -> str:
    """``3 errors, 1 warning``; empty when there are none."""
    errors = len(errors_of(findings))
    return ", ".join(
        plural(number, word)
        for number, word in ((errors, "error"), (len(findings) - errors, "warning"))
        if number
    )
