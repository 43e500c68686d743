"""Child: one running program, its three pipes, and what it said last on its standard error.

    worker ── stdin ──> program ── stdout ──> worker
                           └────── stderr ──> worker: its log, line by line, and the tail

No call here waits but ``wait`` and ``end``: the pipes never block, so neither side can hold up the
other for good, however much the program reads before it writes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pipeflow.errors import ProgramFailed
from pipeflow.runtime.launch import ties
from pipeflow.runtime.programs.spawn import OWN_SESSION, find_program, spawn
from pipeflow.spec.program import Program

#: How long a program may take to end when it is asked to, in seconds. Who is not needed any more
#: has a second in all before its worker is ended too.
ASKED_S: Final = 0.8
#: How long what a program has left behind may say nothing before its output counts as over.
LEFT_BEHIND_S: Final = 1.0

_READ_BYTES: Final = 1 << 16
#: Lines of its standard error that an error message shows, and the length of each.
_TAIL_LINES: Final = 5
_TAIL_CHARS: Final = 200
#: Longest line of its standard error that is kept whole.
_LONGEST_LINE: Final = 1 << 16
#: How often is looked whether it has ended, where the kernel has no sentinels, in seconds.
_LOOK_S: Final = 0.05


class Child:
    """A running program. Owns its process and our ends of its pipes.

    Args:
        program: What to run.
        environ: Its variables.
        feed: Whether it gets a standard input; else that is empty.

    Raises:
        ProgramFailed: It cannot be started.
    """

    def __init__(self, program: Program, environ: Mapping[str, str], *, feed: bool = True) -> None:
        self.name = program.name
        self.pid = 0
        self._status: int | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._half = b""
        self.stdin = self.stdout = self.stderr = self._sentinel = -1
        file = find_program(program.command[0], environ)
        theirs: list[int] = []
        try:
            theirs, ours = _pipes(feed=feed)
            self.stdin, self.stdout, self.stderr = ours
            self.pid = spawn(file, program.command, environ, (theirs[0], theirs[1], theirs[2]))
        except OSError as error:
            self._close_pipes()
            raise ProgramFailed(
                f"program '{self.name}' could not be started: {error.strerror}"
            ) from None
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for end in theirs:
                os.close(end)
        self._sentinel = _sentinel_of(self.pid)

    # ---------------------------------------------------------------- the pipes

    def write(self, data: memoryview) -> int:
        """Give it what its pipe has room for; how much that was.

        One that reads no more is given nothing: ``stdin`` is closed then, and -1.
        """
        if self.stdin < 0:
            return 0
        try:
            return os.write(self.stdin, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self.close_stdin()
            return 0

    def close_stdin(self) -> None:
        """Tell it that nothing more comes."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def read(self) -> bytes:
        """What it has written since; empty if there is nothing. ``stdout`` is -1 after its end."""
        if self.stdout < 0:
            return b""
        try:
            data = os.read(self.stdout, _READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self._close_stdout()
        return data

    def hear(self) -> bool:
        """Pass on to the log what it has said on its standard error; whether there was anything."""
        heard = False
        while self.stderr >= 0:
            try:
                data = os.read(self.stderr, _READ_BYTES)
            except BlockingIOError:
                return heard
            heard = True
            *lines, self._half = (self._half + data).split(b"\n")
            if len(self._half) > _LONGEST_LINE or (not data and self._half):
                lines, self._half = [*lines, self._half], b""
            for line in lines:
                self._log(line)
            if not data:
                os.close(self.stderr)
                self.stderr = -1
        return heard

    def _log(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").rstrip("\r")
        self._tail.append(text[:_TAIL_CHARS])
        sys.stderr.write(text + "\n")  # what a stage prints bears its name

    def events(self, *, room: bool) -> list[tuple[int, int]]:
        """What to wait on: descriptors, and the events of each.

        Args:
            room: Whether there is something to be written.
        """
        waits = [(end, select.POLLIN) for end in (self.stdout, self.stderr) if end >= 0]
        if room and self.stdin >= 0:
            waits.append((self.stdin, select.POLLOUT))
        if self._sentinel >= 0 and self._status is None:
            waits.append((self._sentinel, select.POLLIN))
        return waits

    @property
    def look_s(self) -> float | None:
        """How long one may wait at most before it must be asked whether it has ended."""
        return None if self._sentinel >= 0 else _LOOK_S

    def wait(self, *, room: bool, until: float | None = None) -> bool:
        """Wait until something may be done; ``False``: the time ``until`` has come."""
        poll = select.poll()
        for fd, events in self.events(room=room):
            poll.register(fd, events)
        left_s = None if until is None else until - _now()
        times = [limit for limit in (self.look_s, left_s) if limit is not None]
        ready = poll.poll(max(0.0, min(times)) * 1000 if times else None)
        return bool(ready) or until is None or _now() < until

    # ------------------------------------------------------------------ the end

    def ended(self) -> bool:
        """Whether its process has ended; what it wrote may still be in the pipes."""
        if self._status is None and self.pid:
            try:
                gone = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # the program around us ignores SIGCHLD
                self._status = 0
                return True
            if gone is not None:
                dumped = gone.si_code != os.CLD_EXITED
                self._status = -gone.si_status if dumped else gone.si_status
        return self._status is not None

    @property
    def status(self) -> int:
        """How it has ended: its exit status, or the number of a signal, negative."""
        assert self._status is not None
        return self._status

    def failure(self, doing: str = "") -> ProgramFailed:
        """Its end in words, with the last it said.

        Args:
            doing: What it had done or not done by then.
        """
        how = how_it_ended(self.status)
        return ProgramFailed(f"program '{self.name}' {how}{doing}{self.last_words()}")

    def last_words(self) -> str:
        """The last lines of its standard error, to be put behind a sentence."""
        self.hear()
        lines = [line for line in self._tail if line.strip()]
        return ": " + "; ".join(lines) if lines else ""

    def await_end(self, seconds: float) -> bool:
        """Wait until it has ended, but no longer than so."""
        until = _now() + seconds
        while not self.ended():
            self.hear()
            if not self.wait(room=False, until=until):
                return self.ended()
        return True

    def end(self, *, ask: bool = True) -> None:
        """Leave nothing of it: close its pipes, ask it to end, and end it. Twice is harmless.

        Args:
            ask: Whether it gets the time to end by itself.
        """
        if not self.pid:
            return
        self.close_stdin()
        self._close_stdout()
        if ask and not self.ended():
            self._kill(signal.SIGTERM)
            self.await_end(ASKED_S)
        self._kill(signal.SIGKILL)  # what it has started too, which may have outlived it
        self.hear()
        self._close_pipes()
        pid, self.pid = self.pid, 0
        ties.reap(pid)

    def _kill(self, number: int) -> None:
        # It is not reaped yet, so neither number can be a stranger's.
        try:
            if OWN_SESSION:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, or is another user's by now

    def _close_stdout(self) -> None:
        if self.stdout >= 0:
            os.close(self.stdout)
            self.stdout = -1

    def _close_pipes(self) -> None:
        for end in (self.stdin, self.stdout, self.stderr, self._sentinel):
            if end >= 0:
                os.close(end)
        self.stdin = self.stdout = self.stderr = self._sentinel = -1


def how_it_ended(status: int) -> str:
    """An exit status, or a negative signal, in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _pipes(*, feed: bool) -> tuple[list[int], tuple[int, int, int]]:
    """The three ends of the program, and our three."""
    made: list[int] = []
    try:
        if feed:
            made += os.pipe()
        else:
            made += (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
        made += os.pipe()
        made += os.pipe()
    except OSError:
        _close(made)
        raise
    for end in (made[1], made[2], made[4]):
        if end >= 0:
            os.set_blocking(end, False)
    return [made[0], made[3], made[5]], (made[1], made[2], made[4])


def _close(ends: Iterable[int]) -> None:
    for end in ends:
        if end >= 0:
            os.close(end)


def _sentinel_of(pid: int) -> int:
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        return -1
    try:
        return opener(pid)
    except OSError:  # an older kernel, or one that is played by another program
        return -1


def _now() -> float:
    return time.monotonic()
