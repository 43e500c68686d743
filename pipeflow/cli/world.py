"""What a command may touch of the world outside, as one value that a test can stand in for."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

from pipeflow.api import make_executor
from pipeflow.clock import Clock, RealClock
from pipeflow.values import dataclass, field, replace

if TYPE_CHECKING:
    from pipeflow.executors.base import Executor
    from pipeflow.planner.plan import Machine


class Exit(IntEnum):
    """What a command's exit code means."""

    DONE = 0  #: also with dead letters, and after an early end
    FAILED = 1  #: the run, or a limit of the machine, failed it
    INVALID = 2  #: bad command line or file
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


def _this_machine() -> Machine:
    from pipeflow.runtime.machine import read_machine

    return read_machine()


def _or_nowhere(stream: TextIO | None) -> TextIO:
    """The stream, or one without content for a process that was started without it (``2>&-``)."""
    return io.StringIO() if stream is None else stream


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The process around a command.

    Attributes:
        environ: The environment.
        stdin: Standard input; read only for a pipeline file named ``-``.
        stdout: For what was asked for.
        stderr: For everything else.
        clock: For the times of events.
        executor: Makes an executor from its name.
        machine: Looks at the machine.
        pristine: Whether this process was started for this command, and has done nothing else.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stdin: TextIO = field(default_factory=lambda: _or_nowhere(sys.stdin))
    stdout: TextIO = field(default_factory=lambda: _or_nowhere(sys.stdout))
    stderr: TextIO = field(default_factory=lambda: _or_nowhere(sys.stderr))
    clock: Clock = field(default_factory=RealClock)
    executor: Callable[[str], Executor] = make_executor
    machine: Callable[[], Machine] = _this_machine
    pristine: bool = False

    def say(self, text: str) -> None:
        """Print a line where it does not mix with results."""
        try:
            print(text, file=self.stderr, flush=True)
        except (OSError, ValueError):
            # Nobody reads our messages any more; the exit code still says how it went.
            return

    def answer(self, text: str) -> None:
        """Print what was asked for, with a newline at its end."""
        print(text.removesuffix("\n"), file=self.stdout, flush=True)


def with_executor(world: World, executor: Executor) -> World:
    """The same with an executor that has been made for it already."""

    def give(name: str) -> Executor:
        return executor if name == executor.name else world.executor(name)

    return replace(world, executor=give)
