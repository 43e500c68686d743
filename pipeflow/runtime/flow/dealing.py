"""The express way to replicas of which whoever has room gets what comes next.

    loop ──append──> run ──cut──> encoder ──> frames ──┬──> the roomiest of the targets
                                                       └──> kept back until one has little to do

Whole frames are dealt, each a row of units, so an item costs no more than on any express way. How
many items a frame may hold goes by how fast the replicas take them: the work of a moment, so that
none has much to do while another has nothing. Guided self-scheduling (Polychronopoulos and Kuck,
1987) sizes chunks by what is left; of a stream nobody knows that, so a chunk is sized by time.

What an edge may hold is the work of minutes where an item takes a second. Were it dealt at once,
the last replica would still have half of it when the others have nothing left. So a replica gets
the work of some moments ahead, and the rest is kept back here, where it counts as before, if there
is a second thread to deal it while the loop is in the user's code. Once no more will come, what is
kept back is all there is, and it is dealt still later.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from pipeflow.runtime.flow.ahead import LAST_PARTS, LEAST_S, Pace, rest_s
from pipeflow.runtime.flow.express import Express, Pause
from pipeflow.runtime.flow.frame_size import FrameSize
from pipeflow.runtime.flow.targets import LOOK_AGAIN, Target
from pipeflow.transports.base import Packet

#: What one edge may hold are so many frames at least, while some are kept back.
PARTS: Final = 8
#: Pickled bytes that may be kept back: about what a pipe takes.
KEPT_BYTES: Final = 1 << 20


class Kept(NamedTuple):
    """A frame that is kept back.

    Attributes:
        meta: What it says of its items.
        packet: They themselves.
        born: When the first of them came; see ``Batch.born``.
    """

    meta: bytes
    packet: Packet
    born: int


class Dealing(Express):
    """The express way to several targets; see ``Express`` for the arguments.

    Args:
        targets: At least one; each has one channel, with one reader.
        onward: What each does with its items is not all: each goes on to a replica that gets no
            other's, so how fast it takes them says little, and they are dealt evenly.
    """

    def __init__(
        self, targets: Sequence[Target], *, batch_items: int, onward: bool = False, **settings: Any
    ) -> None:
        super().__init__(targets[0], batch_items=batch_items, **settings)
        self.batch_items = 1
        self._targets, self._onward = targets, onward
        self._enough = sys.maxsize  # which of them has room is looked at each time
        self._turn = self._looks = 0
        self._paced_at = self._dealt_at = self._now()
        ends = [channel.sender.credit_cells() for target in targets for channel in target.channels]
        self._cells = [cells for cells in ends if cells is not None]
        self._size = FrameSize(self._items_taken, len(self._cells), self._now())
        self._pause: Pause | None = None
        self._kept: deque[Kept] = deque()
        self._kept_items = self._kept_bytes = self._kept_longest = 0
        self._paces: list[Pace] = []
        self._capacity, self._rest_s = 0, LEAST_S
        self._kept_short = False  # something was kept back since the paces were looked at
        self._is_last = False  # no more will come
        self._is_slow = False  # an edge may hold much more than what a replica is dealt ahead

    def may_keep(self, pause: Pause) -> None:
        told = len(self._cells) == len(self._targets)
        if told and not (self._hands_over or self._onward):
            self._pause, now = pause, self._now()
            self._capacity = min([target.look() for target in self._targets])
            self._paces = [Pace(cells, now) for cells in self._cells]
            self._judge()

    def is_awaited(self) -> bool:
        for target in self._targets:  # noqa: SIM110 - a generator costs more than the look
            if target.idle():
                return True
        return False

    def hold(self) -> int:
        held, most = super().hold(), max(1, self.batch_items - len(self.run.payloads))
        return most if self._kept else min(held, most)  # none leaves before those kept back

    def waits(self) -> bool:
        return bool(self.run.payloads or self._kept)

    def oldest(self) -> int:
        return self._kept[0].born if self._kept else self.born

    def kept_for_s(self) -> float:
        return self._rest_s if self._kept else 0.0

    def flush(self) -> None:
        count = len(self.run.payloads)
        self._size_ahead()
        if count:
            if self._is_slow and not self._kept:
                self._look_at_all()  # slow ones do not all take as much as they are dealt
            target = None if self._kept else self._least_busy(count)
            if target is None:
                self._keep()
            else:
                self._send_on(count, target)
        if self._kept and (self._now() >= self._dealt_at + self._rest_s or self.is_awaited()):
            self._deal()

    def flush_all(self) -> None:
        if self._kept:
            self._deal(all_of_it=True)
        count = len(self.run.payloads)
        if count:
            self._send_on(count, self._roomiest(count))

    def wind_up(self) -> None:
        self._is_last = True
        self._rest_s = self._next_rest_s(left=1.0)
        self.flush()
        while self._kept and any(target.channels for target in self._targets):
            self._rest()
        if self._kept:
            self._deal(all_of_it=True)

    # -- one frame

    def _send_on(self, count: int, target: Target) -> None:
        """Send what waits in the run."""
        self.target = target
        super().flush()
        target.credit -= count

    def _keep(self) -> None:
        """Keep back what waits in the run; what takes much memory leaves at once."""
        self._kept_short = True
        self._size_frames()
        born = self.born
        meta, payloads, pile, plain = self.run.cut()
        packet = pile.packet() if pile is not None else self._encode(payloads, plain)
        # Counted as if it had left, for nobody else will if the run ends before it does.
        self._emitted[self._cell] += packet.items
        self._targets[0].count(packet.items)
        self._kept.append(Kept(meta, packet, born))
        self._kept_items += packet.items
        self._kept_bytes += len(packet.pickled)
        self._kept_longest = max(self._kept_longest, packet.items)
        if packet.shared_bytes or packet.copied_bytes or self._kept_bytes > KEPT_BYTES:
            self._deal(all_of_it=True)
        elif not self.woken[0]:
            self.wake()

    def _deal(self, *, all_of_it: bool = False) -> None:
        """Send what was kept back, oldest first, as far as a replica has little to do.

        Args:
            all_of_it: However much they have to do.
        """
        self._look_at_all()
        self._dealt_at = self._now()
        busy = [self._busy(at) for at, each in enumerate(self._targets) if each.channels]
        self._rest_s = self._next_rest_s(left=min(busy, default=1.0))
        while self._kept:
            kept = self._kept[0]
            count = kept.packet.items
            target = self._roomiest(count) if all_of_it else self._least_busy(count)
            if target is None:
                return
            self._kept.popleft()
            self._kept_items -= count
            self._kept_bytes -= len(kept.packet.pickled)
            self._send_kept(kept, target)
        self._kept_longest = 0

    def _send_kept(self, kept: Kept, target: Target) -> None:
        count, self.target = kept.packet.items, target
        target.cost = 0
        target.credit -= count
        self.frames += 1
        if target.send_packet(kept.meta, kept.packet, count, born=kept.born):
            self._reader_left()

    # -- which replica

    def _wanted(self) -> Sequence[Target]:
        return self._open()

    def _wait(self) -> None:
        if self._kept or self._is_slow:
            self.flush()
            self._rest()
        else:
            super()._wait()

    def _rest(self) -> None:
        """Give the replicas time until one has taken something, and deal again."""
        assert self._pause is not None
        self._pause(self._open(), self._rests())
        self._reader_left()
        self._size_ahead()
        self._deal()

    def _rests(self) -> Iterator[float]:
        """How long to rest before each look, until one of the replicas has room for more."""
        nbytes = self.run.shared_bytes
        yield self._rest_s
        while all(each.credit == each.look(nbytes) for each in self._targets):
            self._rest_s = self._next_rest_s(left=1.0)
            yield self._rest_s

    def _next_rest_s(self, *, left: float) -> float:
        return rest_s(self._rest_s, left=left, last=self._is_last)

    def _look(self) -> int:
        """How many items have room now.

        They fit in one of the targets; of what may be kept back, all of it fits in some of them.
        """
        run = self.run
        if self._kept and run.shared_bytes:
            self._deal(all_of_it=True)
        free = self._free()
        if not free or run.shared_bytes:
            self._look_at_all()
            free = self._free()
        self._until = run.first + len(run.payloads) + free
        return free

    def _free(self) -> int:
        """How many items have room, as far as we know."""
        waiting = len(self.run.payloads)
        if self._kept or self._is_slow:
            targets = self._open()
            # Frames of up to so many items fit as long as there is more room than this, however it
            # is spread over the targets.
            spare = (max(self.batch_items, self._kept_longest) - 1) * len(targets)
            known = sum([max(0, each.credit) for each in targets]) - self._kept_items - spare
        else:
            known = self._best().credit
        return max(0, min(known, self._most) - waiting)

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

    def _least_busy(self, count: int) -> Target | None:
        """The target that has the least to do; ``None``: all have enough, or no room."""
        if not self._is_slow:
            return self._roomiest(count)
        self._turn += 1  # equals take turns
        least, least_busy = 1.0, None
        for place in range(len(self._targets)):
            at = (place + self._turn) % len(self._targets)
            target, busy = self._targets[at], self._busy(at)
            if busy < least and target.credit >= count and target.channels:
                least, least_busy = busy, target
        return least_busy or (None if self._wanted()[0].channels else self._targets[0])

    def _busy(self, at: int) -> float:
        """What one of them has to do as part of what it is dealt ahead, as far as we know."""
        # By one measure for all: of two that are about as fast neither gets much more.
        ahead = min(self._paces[at].ahead, self._capacity)
        if self._is_last:
            ahead = max(1, ahead // LAST_PARTS)
        return (self._capacity - self._targets[at].credit) / ahead

    def _best(self) -> Target:
        self._turn = first = self._turn + 1
        targets = self._open()
        first %= len(targets)
        return max([*targets[first:], *targets[:first]], key=_credit)

    def _look_at_all(self) -> None:
        nbytes = self.run.shared_bytes
        for target in self._targets:
            target.look(nbytes)

    # -- how fast they are

    def _size_ahead(self) -> None:
        """See from time to time how fast the replicas are, and so how far ahead they are dealt."""
        now = self._now()
        if now < self._paced_at + LEAST_S:
            return
        self._paced_at = now
        for pace in self._paces:
            pace.look(now, kept_short=self._kept_short)
        self._kept_short = bool(self._kept)
        self._judge()

    def _judge(self) -> None:
        """See whether any of them is slow, and size the frames by that."""
        self._is_slow = any(2 * pace.ahead < self._capacity for pace in self._paces)
        self.batch_items = min(self.batch_items, self._longest())

    def _longest(self) -> int:
        """How many items a frame may hold at most: of those that are kept back several must fit."""
        return max(1, min(self._most, self._capacity // PARTS)) if self._is_slow else self._most

    def _items_taken(self) -> int:
        """Items that the readers have taken, in all."""
        return sum([words[taken] for words, _, taken in self._cells])


def _credit(target: Target) -> int:
    return target.credit
