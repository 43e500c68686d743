"""``pipeflow show``: the file as it is after params, environment, overlays and defaults."""

from __future__ import annotations

import argparse
from typing import Final

from pipeflow.cli.arguments import Command, add_file, add_settings
from pipeflow.cli.reading import read_file, show_findings
from pipeflow.cli.world import Exit, World


def _add(parser: argparse.ArgumentParser) -> None:
    add_file(parser)
    add_settings(parser)


def _execute(arguments: argparse.Namespace, world: World) -> int:
    from pipeflow.config.load import resolved_yaml

    reading = read_file(arguments.file, arguments, world)
    reading.require()
    show_findings(reading.findings, reading.sources, world)
    world.answer(resolved_yaml(reading.loaded))
    return Exit.DONE


COMMAND: Final = Command(
    name="show",
    help="print the resolved file, after params, environment, overlays, defaults",
    add=_add,
    execute=_execute,
)
