"""The outlets of a worker: every channel and mailbox that it writes, and who still reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeflow.errors import PeerClosed
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.transports.base import Sender

if TYPE_CHECKING:
    from pipeflow.runtime.flow.mailbox import Mailbox


class Outlets:
    """Whoever calls what sends or drops has the outbox's lock.

    Args:
        ports: The worker's output ports that are read, by name.

    Attributes:
        targets: Where frames go.
        mailboxes: Where items wait until they are asked for.
        at_letter: What is sent just now has a reader of its own: dead letters, and the ends of
            their units.
    """

    def __init__(self, ports: Mapping[str, OutPort]) -> None:
        self.targets: Sequence[Target] = [
            target
            for port in ports.values()
            for spread in port.spreads
            for target in spread.targets
        ]
        self.mailboxes: Sequence[Mailbox] = [
            mailbox for port in ports.values() for drop in port.drops for mailbox in drop.mailboxes
        ]
        self.at_letter = False
        self._needed = [port for port in ports.values() if port.needed]

    def channels(self) -> list[OutChannel]:
        """Those that still have a reader."""
        return [channel for target in self.targets for channel in target.channels]

    def open_ends(self) -> int:
        """How many channels still have a reader."""
        ends = sum([len(target.channels) for target in self.targets])
        return ends + sum([mailbox.open_ends() for mailbox in self.mailboxes])

    def watched(self) -> list[int]:
        """Descriptors that poll as ``POLLERR`` when a reader has closed."""
        own = [
            fd
            for target in self.targets
            for channel in target.channels
            if (fd := channel.sender.fileno()) >= 0  # what stays in this process has none
        ]
        return own + [fd for mailbox in self.mailboxes for fd in mailbox.filenos()]

    def lose_readers(self, gone: frozenset[int]) -> None:
        """Drop the channels of these descriptors, whose readers have closed.

        Raises:
            ReadersGone: It was the last one.
        """
        self._drop(lambda end: end.fileno() in gone)
        for mailbox in self.mailboxes:
            mailbox.lose_readers(gone)
        self.raise_if_unread()

    def lose(self, senders: Sequence[Sender]) -> None:
        """The same for ends that have no descriptor.

        Raises:
            ReadersGone: It was the last one.
        """
        self._drop(lambda end: end in senders)
        for mailbox in self.mailboxes:
            mailbox.lose(senders)
        self.raise_if_unread()

    def raise_if_unread(self) -> None:
        """See whether anybody needs the results.

        Raises:
            ReadersGone: Nobody does.
        """
        if self.at_letter:
            return
        if self._needed and all(port.closed() for port in self._needed):
            raise ReadersGone

    def barrier(self, meta: bytes) -> None:
        """Send a barrier everywhere."""
        for channel in self.channels():
            channel.sender.barrier(meta)

    def end(self) -> None:
        """Send the end of input on every channel but the mailboxes'."""
        for target in self.targets:
            end_target(target)

    def close(self) -> None:
        """Close everything, ended or not."""
        for channel in self.channels():
            channel.sender.close()
        for mailbox in self.mailboxes:
            mailbox.close()

    def _drop(self, is_gone: Callable[[Sender], bool]) -> None:
        for target in self.targets:
            for channel in list(target.channels):
                if is_gone(channel.sender):
                    target.drop(channel)


def end_target(target: Target) -> None:
    """Send the end of input to whoever still reads there."""
    for channel in list(target.channels):
        try:
            channel.sender.end()
        except PeerClosed:
            target.drop(channel)  # it needs no end any more
