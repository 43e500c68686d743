"""How a launch server comes to be: a fresh program, or a copy of this process."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import NoReturn

from pipeflow.errors import MachineError
from pipeflow.runtime.launch import ties


def run_server(control: socket.socket) -> int:
    """A launch server in a fresh interpreter."""
    from pipeflow.runtime.launch.program import command  # not for a copy

    number = control.fileno()
    os.set_inheritable(number, True)
    return os.posix_spawn(
        sys.executable,
        command("pipeflow.runtime.launch.server", str(number), str(os.getpid())),
        os.environ,
        setpgroup=0,  # a signal to the group of the command must not reach it
    )


def fork_server(control: socket.socket, descriptors: set[int], *, fresh: bool) -> int:
    """A launch server as a copy of this process.

    Args:
        control: Its end of the socket.
        descriptors: What it keeps beside that.
        fresh: Whether it is to be as if it had been started as a program.

    Raises:
        MachineError: This process has other threads, whose locks the copy would never get.
    """
    count = ties.threads()
    if count > 1:
        raise MachineError(
            f"start method 'fork' needs a process with one thread, and this one has {count};"
            " use 'forkserver' or 'spawn'"
        )
    supervisor = os.getpid()
    # Until it has handlers of its own, a Ctrl-C must not end it with our traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pid = os.fork()
        if pid == 0:
            _be_server(control.fileno(), descriptors, supervisor, before, fresh=fresh)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # The copy does so too, whoever comes first: it may be ended by its group at once.
    ties.quietly(lambda: os.setpgid(pid, pid))
    return pid


def _be_server(
    control: int, descriptors: set[int], supervisor: int, mask: Iterable[int], *, fresh: bool
) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setpgid(0, 0)
        ties.close_all_but((control, *descriptors))
        atexit._clear()  # noqa: SLF001 - as multiprocessing does: our parent's handlers are not ours
        from pipeflow.runtime.launch import boot, server

        boot.preload()
        if fresh:
            _forget_program(server)
        server.LaunchServer(control, supervisor).serve()
        status = 0
    except BaseException:  # the boundary of the process: nothing may reach our caller
        from pipeflow.runtime.launch.boot import print_last_words

        print_last_words()
    finally:
        os._exit(status)


def _forget_program(server: ModuleType) -> None:
    """Leave behind what tells a copy of the command from a program of its own."""
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the command's script, or the current one
    sys.argv[:] = [server.__file__ or ""]
    sys.modules["__main__"] = server
    gc.freeze()  # forked workers share these pages as long as nobody touches them
    gc.enable()
