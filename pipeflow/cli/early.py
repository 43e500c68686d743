"""What of a run begins before its arguments are understood: the launch server of its workers.

It takes longer to come up than anything else of a small run, and needs nothing of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pipeflow.errors import MachineError

if TYPE_CHECKING:
    from pipeflow.executors.local import LocalExecutor

#: Options with which another server is needed, or none.
_OTHERWISE: Final = ("--executor", "--start-method", "--help", "-h")


def begin(arguments: Sequence[str]) -> LocalExecutor | None:
    """The executor of a run by processes, if the arguments surely ask for one.

    Whoever gets it closes it.

    Args:
        arguments: What follows ``pipeflow``, where it is a program of its own.
    """
    runs = arguments[:1] == ["run"]
    if not runs or any(each.startswith(_OTHERWISE) for each in arguments):
        return None
    from pipeflow.executors.local import LocalExecutor  # other commands have no use for it

    executor = LocalExecutor()
    try:
        executor.warm("", pristine=True)
    except MachineError:
        return None  # the command tries once more, and tells what is in the way
    return executor
