"""``pipeflow`` and ``python -m pipeflow``: hands the command line to ``cli.main``."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading


def main() -> None:
    """Run the command line of this process, and end the process with its exit code."""
    # What is loaded at the start stays: looking through it again and again finds nothing.
    # A command that lasts switches it on again.
    gc.disable()
    ours = _is_our_program()
    arguments = sys.argv[1:]
    try:
        # Before all that the command itself loads: it takes as long.
        from pipeflow.cli.early import begin

        early = begin(arguments) if ours else None
        from pipeflow.cli.main import main as run_command
        from pipeflow.cli.world import World, with_executor
    except KeyboardInterrupt:  # nothing has begun: there is nothing to say
        sys.exit(128 + signal.SIGINT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets it spelt out, as stderr does.
        sys.stdout.reconfigure(errors="backslashreplace")
    world = World(pristine=ours)
    try:
        code = run_command(arguments, world if early is None else with_executor(world, early))
    finally:
        if early is not None:
            early.close()
    # Stages that ran in this process may hold files that the interpreter's own end closes.
    if ours and "pipeflow.executors.inline" not in sys.modules:
        _leave(code)
    sys.exit(code)


def _is_our_program() -> bool:
    """Whether this process was started as ``pipeflow``, not as a program that imports us."""
    file = getattr(sys.modules["__main__"], "__file__", None) or ""
    name = file.replace("\\", "/").rpartition("/")[2]
    return name == "pipeflow" or file == __file__


def _leave(code: int) -> None:
    """End the process, and leave it to the kernel to take it apart: that is 7 ms of a small run.

    Returns if something could not be written: the interpreter's own end tells of that.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the two steps of the interpreter's
    atexit._run_exitfuncs()  # noqa: SLF001 - end that others may count on, as multiprocessing does them
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


# A worker that is started by "spawn" imports this module under another name.
if __name__ == "__main__":
    main()
