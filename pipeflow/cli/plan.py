"""``pipeflow plan``: what would run on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Final

from pipeflow.cli.arguments import Command, add_file, add_settings
from pipeflow.cli.reading import require_pipeline
from pipeflow.cli.world import Exit, World


def _add(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.planner.explain import plan_json, plan_text
    from pipeflow.planner.make import make_plan

    pipeline = require_pipeline(arguments.file, arguments, world)
    decided = make_plan(pipeline, world.machine())
    if arguments.format == "json":
        world.answer(json.dumps(plan_json(decided), indent=2))
    else:
        world.answer(plan_text(decided))
    return Exit.DONE


COMMAND: Final = Command(
    name="plan",
    help="show what would run: processes, edges, transports, memory",
    add=_add,
    execute=_execute,
)
