"""What waits in a worker's outbox leaves: all of it, or what others wait for, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.outlets import Outlets
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import Target
from pipeflow.runtime.flow.ways import Ways


class Flushes:
    """Whoever calls them has the outbox's lock.

    Args:
        ways: The short ways.
        outlets: Every way out, with the batches of the longer way.
        send_batch: Sends what waits there.
    """

    def __init__(self, ways: Ways, outlets: Outlets, send_batch: Callable[[Target], None]) -> None:
        self._ways, self._outlets, self._send_batch = ways, outlets, send_batch

    def flush(self, *, quiet: bool = False) -> None:
        """Send all that waits, but for what is better kept back for a while.

        Args:
            quiet: Whoever is gone: what that means is found out by others.

        Raises:
            ReadersGone: Nobody needs any more results of this stage.
        """
        self._send([one.flush for one in self._ways.waiting()], quiet=quiet)

    def flush_all(self, *, quiet: bool = False) -> None:
        """Send all that waits: who waits with the lock may wait for what comes of it.

        See ``flush``.
        """
        self._send([one.flush_all for one in self._ways.waiting()], quiet=quiet)

    def flush_all_but(self, way: Express) -> None:
        """The same, but for what waits on this way, on behalf of which somebody waits."""
        self._send([one.flush_all for one in self._ways.waiting() if one is not way], quiet=True)

    def _send(self, ways: Sequence[Callable[[], None]], *, quiet: bool) -> None:
        batches: list[Callable[[], None]] = [
            partial(self._send_batch, one) for one in self._outlets.targets if one.batch
        ]
        gone: ReadersGone | None = None
        for send in (*ways, *batches):
            try:
                send()
            except ReadersGone as error:
                gone = error  # told once the rest has left: letters have readers of their own
        for mailbox in self._outlets.mailboxes:
            mailbox.tell()
        if gone is not None and not quiet:
            raise gone

    def send_older(self, target: Target) -> None:
        """A frame does not fit in the kernel: send first what came before it and goes elsewhere.

        A reader that takes nothing waits for room itself, and its own reader for something older:
        that may lie here, in a batch for another. The frame that is waited for is always the one
        with the oldest item that has not left, so whoever holds that one up can go on.

        Args:
            target: Where the frame goes.
        """
        mine = target.sending
        ways: list[tuple[int, Callable[[], None]]] = [
            (one.oldest(), one.flush_all) for one in self._ways.waiting() if one.target.sending < 0
        ]
        ways += [
            (other.batch.born, partial(self._send_batch, other))
            for other in self._outlets.targets
            if other.batch and other.sending < 0
        ]
        for born, send in sorted(ways, key=lambda way: way[0]):
            if born < mine:
                try:
                    send()
                except ReadersGone:
                    pass  # whoever sends next, or ends, finds that out
