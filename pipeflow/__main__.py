"""``pipeflow`` and ``python -m pipeflow``: hands the command line to ``cli.main``."""

from __future__ import annotations

import gc
import io
import signal
import sys


def main() -> None:
    """Run the command line of this process, and end the process with its exit code."""
    # What is loaded at the start stays: looking through it again and again finds nothing.
    # A command that lasts switches it on again.
    gc.disable()
    try:
        from pipeflow.cli.main import main as run_command
        from pipeflow.cli.world import World
    except KeyboardInterrupt:  # nothing has begun: there is nothing to say
        sys.exit(128 + signal.SIGINT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets it spelt out, as stderr does.
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run_command(sys.argv[1:], World(pristine=_is_our_program()))
    gc.freeze()  # the interpreter's last look for garbage would find what ends with it anyway
    sys.exit(code)


def _is_our_program() -> bool:
    """Whether this process was started as ``pipeflow``, not as a program that imports us."""
    file = getattr(sys.modules["__main__"], "__file__", None) or ""
    name = file.replace("\\", "/").rpartition("/")[2]
    return name == "pipeflow" or file == __file__


# A worker that is started by "spawn" imports this module under another name.
if __name__ == "__main__":
    main()
