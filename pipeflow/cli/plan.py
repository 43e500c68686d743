"""``pipeflow plan``: what would run on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Final

from pipeflow.cli.arguments import Command, add_file, add_fuse, add_settings
from pipeflow.cli.reading import doubts, read_file, wants_color, with_sources
from pipeflow.cli.world import Exit, World


def _add(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    add_fuse(parser)
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.planner.explain import plan_json, plan_text
    from pipeflow.planner.make import make_plan

    reading = read_file(arguments.file, arguments, world)
    with with_sources(reading):
        decided = make_plan(reading.require(), world.machine(), fusion=arguments.fuse)
    warnings = doubts(reading, decided)
    if arguments.format == "json":
        from pipeflow.config.render import finding_json

        shown = {**plan_json(decided), "warnings": [finding_json(each) for each in warnings]}
        world.answer(json.dumps(shown, indent=2))
        return Exit.DONE
    world.answer(plan_text(decided))
    if warnings:
        from pipeflow.config.render import render_text

        color = wants_color(world.stdout, world)
        world.answer("\n" + render_text(warnings, reading.sources, color=color))
    return Exit.DONE


COMMAND: Final = Command(
    name="plan",
    help="show what would run: processes, edges, transports, memory",
    add=_add,
    execute=_execute,
)
