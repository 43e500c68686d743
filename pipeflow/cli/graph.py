"""``pipeflow graph``: the stages and edges of a file as a drawing."""

from __future__ import annotations

import argparse
from typing import Final

from pipeflow.cli.arguments import Command, add_file, add_settings
from pipeflow.cli.reading import require_pipeline
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError


def _add(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument(
        "--format", choices=("text", "mermaid", "dot"), default="text", help="(text)"
    )
    parser.add_argument("--report", help=argparse.SUPPRESS)
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.planner.explain import graph_dot, graph_mermaid, graph_text

    if arguments.report is not None:
        raise UsageError(
            "'graph --report' comes in a later version; the report itself has the counts"
        )
    pipeline = require_pipeline(arguments.file, arguments, world)
    draw = {"text": graph_text, "mermaid": graph_mermaid, "dot": graph_dot}[arguments.format]
    world.answer(draw(pipeline))
    return Exit.DONE


COMMAND: Final = Command(
    name="graph",
    help="draw stages and edges as text, Mermaid or DOT",
    add=_add,
    execute=_execute,
)
