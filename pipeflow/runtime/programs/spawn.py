"""Starts a program such that it cannot outlive us: no shell, no descriptors of ours, tied to us.

``subprocess`` cannot have the kernel tie a child to its parent without running Python in a copy of
this process anyway, so that is done here, and as little as possible.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import struct
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from pipeflow.errors import ProgramFailed
from pipeflow.runtime.launch import ties

#: Elsewhere the kernel does not tie it to us, so it stays in our group, which is ended whole.
OWN_SESSION: Final = sys.platform == "linux"

_NUMBER: Final = struct.Struct("<i")


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The file of a program, as a shell would find it.

    Raises:
        ProgramFailed: There is none, or it may not be run.
    """
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is not None:
        return found
    if "/" not in name:
        raise ProgramFailed(
            f"there is no program '{name}' in the folders of PATH: is it installed, and its name"
            " spelled right?"
        )
    if Path(name).is_file():
        raise ProgramFailed(f"program '{name}' may not be run: chmod +x gives it leave")
    raise ProgramFailed(
        f"there is no program '{name}'; a relative path means the folder where the command was"
        f" started, here {Path.cwd()}"
    )


def spawn(
    file: str, command: Sequence[str], environ: Mapping[str, str], ends: tuple[int, int, int]
) -> int:
    """Start a program in a session of its own: no terminal, and a group that can be ended whole.

    Args:
        file: What to run.
        command: Its name and its arguments.
        environ: Its variables.
        ends: What its standard input, output and error are.

    Returns:
        Its process id; it runs the program by now.

    Raises:
        ProgramFailed: The kernel refuses.
    """
    ties.prepare()
    told, telling = os.pipe()
    parent = os.getpid()
    # Our handlers must never run in the new process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():
            # Python warns of locks that other threads hold; the copy takes none before it is gone.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _become(file, command, environ, ends, telling, parent)
    except OSError as error:
        os.close(told)
        raise ProgramFailed(_refused(command[0], error.errno or 0)) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(telling)
    refusal = os.read(told, _NUMBER.size)  # ends when the program has taken the process over
    os.close(told)
    if refusal:
        os.waitpid(pid, 0)
        raise ProgramFailed(_refused(command[0], _NUMBER.unpack(refusal)[0]))
    return pid


def _become(
    file: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    ends: tuple[int, int, int],
    telling: int,
    parent: int,
) -> NoReturn:
    """Turn this copy of the worker into the program."""
    try:
        if OWN_SESSION:
            os.setsid()
        if not ties.die_with_parent(parent):
            os._exit(1)
        # First out of the way: one of them may have the number of a standard end.
        telling = fcntl.fcntl(telling, fcntl.F_DUPFD_CLOEXEC, 3)
        moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends]
        for number, end in enumerate(moved):
            os.dup2(end, number)
        ties.close_all_but((telling,))
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(file, list(command), dict(environ))  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(telling, _NUMBER.pack(error.errno or 0))
    finally:
        os._exit(127)


def _refused(name: str, number: int) -> str:
    match number:
        case errno.ENOEXEC:
            why = "it is no program of this machine (a script begins with #! and its interpreter)"
        case errno.ENOENT:
            why = "the interpreter that its first line names is not there"
        case _:
            why = os.strerror(number)
    return f"program '{name}' could not be started: {why}"
