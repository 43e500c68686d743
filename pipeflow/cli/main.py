"""The command line: finds the command, runs it, and turns whatever happens into an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from pipeflow.cli.arguments import Command, parse, suggestion
from pipeflow.cli.later import COMMANDS as LATER
from pipeflow.cli.later import refuse_command
from pipeflow.cli.world import Exit, World
from pipeflow.errors import InvalidPipeline, MachineError, PipeflowError, UsageError

#: What a disk, or whatever standard output leads to, says that takes no more.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

#: Each is a module of this package, which is imported when it is asked for.
COMMANDS: Final = (
    *("init", "run", "validate", "test", "plan", "show", "graph"),
    *("schema", "stages", "explain", "lsp"),
)


def main(arguments: Sequence[str], world: World | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows ``pipeflow``.
        world: The process around it; this one when left out.

    Returns:
        The exit code; nothing is raised.
    """
    world = world or World()
    debug = _asks_for_debug(arguments)
    try:
        return int(_dispatch(arguments, world))
    except SystemExit as asked:
        # argparse ends so after --help.
        return asked.code if isinstance(asked.code, int) else Exit.DONE
    except InvalidPipeline as invalid:
        from pipeflow.cli.reading import show_findings

        show_findings(invalid.findings, invalid.sources, world)
        return Exit.INVALID
    except UsageError as error:
        world.say(f"pipeflow: error: {_escaped(str(error))}")
        return Exit.INVALID
    except PipeflowError as error:
        kind = "this machine: " if isinstance(error, MachineError) else ""
        world.say(f"pipeflow: error: {kind}{_escaped(str(error))}")
        return Exit.FAILED
    except KeyboardInterrupt:
        world.say("pipeflow: interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough.
        _forget_stdout()
        return Exit.DONE
    except Exception as error:
        # The last boundary: a fault of ours, whatever it is, is one line to the user.
        if isinstance(error, OSError) and error.errno in _FULL:
            _forget_stdout()
            world.say(f"pipeflow: error: this machine: {_escaped(str(error))}")
            return Exit.FAILED
        if debug:
            import traceback

            world.say(traceback.format_exc())
        world.say(_confession(error, debug))
        return Exit.FAILED


def _dispatch(arguments: Sequence[str], world: World) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if not name:
        world.say(usage())
        return Exit.INVALID
    if name in {"-h", "--help", "help"}:
        world.answer(usage())
        return Exit.DONE
    if name in {"-V", "--version", "version"}:
        from pipeflow.api import __version__
        from pipeflow.runtime.loops.stretch import COMPILED

        world.answer(f"pipeflow {__version__}")
        if not COMPILED:
            world.say("its loops are not compiled: no C compiler was found when it was installed")
        return Exit.DONE
    if name in LATER:
        raise refuse_command(name)
    if name not in COMMANDS:
        raise UsageError(_unknown_command(name))
    command = _command(name)
    return command.execute(parse(command, rest), world)


def _command(name: str) -> Command:
    module = importlib.import_module(f"pipeflow.cli.{name}")
    command: Command = module.COMMAND
    return command


def usage() -> str:
    """What ``pipeflow --help`` prints."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:{width}}  {_command(name).help}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: pipeflow COMMAND ...",
            "",
            "Wire ordinary Python functions in a YAML file; each stage runs in its own process.",
            "",
            *lines,
            "",
            "'pipeflow COMMAND --help' tells more; 'pipeflow --version' tells the version.",
        ]
    )


def _unknown_command(name: str) -> str:
    if name.startswith("-"):
        return f"unknown option '{name}'; a command comes first: pipeflow run FILE"
    if os.path.exists(name):  # noqa: PTH110 - a word of the command line, not a path of ours
        return f"'{name}' is a file, not a command; run it with: pipeflow run {name}"
    known = [*COMMANDS, *LATER]
    meant = suggestion(name, known)
    return f"unknown command '{name}'{meant or '; there are: ' + ', '.join(COMMANDS)}"


def _asks_for_debug(arguments: Sequence[str]) -> bool:
    joined = " ".join(arguments)
    return "--log-level debug" in joined or "--log-level=debug" in joined


def _confession(error: Exception, debug: bool) -> str:
    what = _escaped(" ".join(f"{type(error).__name__}: {error}".split()))
    more = "" if debug else " (with --log-level debug it shows where)"
    return f"pipeflow: internal error: {what}; please report it{more}"


def _escaped(text: str) -> str:
    """What came from outside, a name on the command line say, must not act on a terminal."""
    from pipeflow.telemetry.masking import escape_controls

    return escape_controls(text)


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere, instead of failing once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)
