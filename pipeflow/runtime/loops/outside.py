"""Outside: what a loop waits for beside its inputs: the pipes of an external program."""

from __future__ import annotations

import select

from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What may let a loop go on.

    Attributes:
        events: Descriptors, and the events of each.
        input: Items are waited for as well.
        patience_s: How long may be waited at most; ``None``: for ever.
    """

    events: tuple[tuple[int, int], ...]
    input: bool
    patience_s: float | None = None

    def is_ready(self, timeout_s: float = 0.0) -> bool:
        """Whether one of its own events has come, or comes within so many seconds."""
        return bool(self.poll().poll(timeout_s * 1000))

    def poll(self) -> select.poll:
        """A poll on its own events."""
        poll = select.poll()
        for fd, events in self.events:
            poll.register(fd, events)
        return poll
