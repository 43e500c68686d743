"""The express way to replicas of which whoever has room gets what comes next.

    loop ──append──> run ──cut──> encoder ──> the roomiest of the targets

Whole frames are dealt, each a row of units, so an item costs no more than on any express way. How
many items a frame may hold goes by how fast the replicas take them: the work of a moment, so that
none has much to do while another has nothing. Guided self-scheduling (Polychronopoulos and Kuck,
1987) sizes chunks by what is left; of a stream nobody knows that, so a chunk is sized by time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from pipeflow.runtime.flow.express import GROWTH, Express
from pipeflow.runtime.flow.targets import LOOK_AGAIN, Target

#: A frame holds what its reader does in that time, in seconds; and at least one item. Replicas that
#: get but a part of a processor must not be dealt crumbs: these would slow them down further.
SHARE_S: Final = 0.01
#: How fast the readers are is looked at again after so many seconds.
LOOK_S: Final = 0.001


class Dealing(Express):
    """The express way to several targets; see ``Express`` for the arguments.

    Args:
        targets: At least one; each has one channel, with one reader.
    """

    def __init__(self, targets: Sequence[Target], *, batch_items: int, **settings: Any) -> None:
        super().__init__(targets[0], batch_items=1, **settings)
        self._targets = targets
        self._most = batch_items
        self._enough = sys.maxsize  # which of them has room is looked at each time
        self._turn = self._looks = 0
        self._looked_at = self._now()
        self._taken_before = 0
        ends = [channel.sender.credit_cells() for target in targets for channel in target.channels]
        self._cells = [(cells[0], cells[2]) for cells in ends if cells is not None]

    def is_awaited(self) -> bool:
        for target in self._targets:  # noqa: SIM110 - a generator costs more than the look
            if target.idle():
                return True
        return False

    def hold(self) -> int:
        return min(super().hold(), max(1, self.batch_items - len(self.run.payloads)))

    def flush(self) -> None:
        count = len(self.run.payloads)
        if count:
            self.target = target = self._roomiest(count)
            super().flush()
            target.credit -= count
            self._size_frames()

    def _wanted(self) -> Sequence[Target]:
        return self._open()

    def _look(self) -> int:
        """How many items have room now, in one of the targets: it alone could take them all."""
        run = self.run
        waiting, best = len(run.payloads), self._best()
        free = max(0, min(best.credit, self._most) - waiting)
        if not free or run.shared_bytes:
            self._look_at_all()
            free = max(0, min(self._best().credit, self._most) - waiting)
        self._until = run.first + waiting + free
        return free

    def _open(self) -> Sequence[Target]:
        """Those that still have a reader; if none has, the first, where things go to be counted."""
        return [target for target in self._targets if target.channels] or self._targets[:1]

    def _roomiest(self, count: int) -> Target:
        """The target with the most room, as far as we know, and with so much; equals take turns."""
        self._looks -= 1
        best = self._best()
        if self._looks < 0 or best.credit < count or self.run.shared_bytes:
            self._looks = LOOK_AGAIN
            self._look_at_all()
            best = self._best()
        return best

    def _best(self) -> Target:
        self._turn = first = self._turn + 1
        targets = self._open()
        first %= len(targets)
        return max([*targets[first:], *targets[:first]], key=_credit)

    def _look_at_all(self) -> None:
        nbytes = self.run.shared_bytes
        for target in self._targets:
            target.look(nbytes)

    def _size_frames(self) -> None:
        """See from time to time how fast the readers are."""
        now = self._now()
        elapsed_s = now - self._looked_at
        if elapsed_s < LOOK_S:
            return
        taken = sum([words[cell] for words, cell in self._cells])
        rate = (taken - self._taken_before) / elapsed_s / len(self._cells)
        self._looked_at, self._taken_before = now, taken
        self.batch_items = frame_items(rate, before=self.batch_items, most=self._most)


def _credit(target: Target) -> int:
    return target.credit


def frame_items(rate: float, *, before: int, most: int) -> int:
    """How many items the next frames may hold.

    Args:
        rate: Items that one reader takes in a second.
        before: How many they held; it grows by steps, for one look says little.
        most: Never more.
    """
    return max(1, min(most, GROWTH * before, int(rate * SHARE_S)))
