"""``pipeflow lsp``: the language server, on standard input and output."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Final

from pipeflow.cli.arguments import Command
from pipeflow.cli.world import Exit, World
from pipeflow.errors import UsageError


def _add(parser: argparse.ArgumentParser) -> None:
    # Editors pass it to every server; there is no other way to talk.
    parser.add_argument("--stdio", action="store_true", help="talk by standard input and output")


def _execute(arguments: argparse.Namespace, world: World) -> int:
    del arguments, world
    if find_spec("pygls") is None:
        raise UsageError("'pipeflow lsp' needs the extra 'lsp': pip install 'pipeflow[lsp]'")
    from pipeflow.lsp.server import make_server

    make_server().start_io()
    return Exit.DONE


COMMAND: Final = Command(
    name="lsp",
    help="the language server for editors: checks, definitions, hovers, renaming",
    add=_add,
    execute=_execute,
)
