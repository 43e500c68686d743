"""What the supervisor needs of whoever starts its workers; ``server_launcher`` is the one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipeflow.runtime.launch.messages import Exited, Launch


class Launcher(Protocol):
    """What the supervisor needs of whoever starts its workers."""

    def fileno(self) -> int:
        """Readable when ``news`` has something that came after the last ``launch``."""
        ...

    @property
    def parent(self) -> int:
        """Process id of the parent of all workers; their life hangs on it."""
        ...

    def launch(self, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        """Start workers in their order; gives the number and the process id of each.

        Raises:
            MachineError: A limit forbids one; ``close`` leaves nothing of those before and behind.
        """
        ...

    def all_launched(self) -> None:
        """No more come: drop the copies of the workers' descriptors."""
        ...

    def news(self) -> list[Exited]:
        """Workers that have ended since the last call; never waits.

        Raises:
            MachineError: The launch server itself is gone.
        """
        ...

    def signal(self, worker: int, number: int, *, whole_group: bool = True) -> None:
        """Send a signal to a worker that is still there, and to what it has started."""
        ...

    def close(self) -> None:
        """Leave no process behind; closing twice is harmless."""
        ...
