"""Relief: credit that goes back before its item is delivered, where else nobody could go on.

A reader that holds units which are not due keeps their credit, so their writers wait. Most often
that is as it should be: whoever has the unit that is due brings it. Two things may be in its way:

    lanes   All lanes of a channel share its credit. A writer may have used it up for units of one
            lane that are not due, and have the unit that is due on another lane in hand: two such
            writers would wait for each other for ever.
    gaps    Replicas that end early do so each at its place, so units are missing that others of
            them have passed. That these never come is known when all have ended; until then one
            may wait for room, for what lies beyond the gap.

It never waits, and tells nobody that it waits: whoever waits with something held asks from time to
time.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeflow.runtime.board import TURNS, Words
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.inlets import FrameNote, InChannel, InPort

#: Credits of one channel that may go back early for the sake of lanes. Those past a gap are so many
#: as were on their way when a stage ended.
EARLY_MOST = 1024


class Relief:
    """What an inbox may give back early.

    Args:
        ports: Its edges.
        row: The worker's row of the board.

    Attributes:
        lanes: Channels that are open and have several.
    """

    def __init__(self, ports: Sequence[InPort], row: Words) -> None:
        self._row = row
        self._open = [channel for port in ports for channel in port.channels]
        self.lanes = [
            channel for port in ports if len(port.intake.frontier) > 1 for channel in port.channels
        ]
        self._gaps = [
            port.intake
            for port in ports
            if isinstance(port.intake, Collector) and port.intake.may_gape
        ]

    def note(self, note: FrameNote) -> None:
        """A frame has come; where there are lanes it is kept in mind until its credit is back."""
        if note.channel not in self.lanes:
            return
        parked = note.channel.parked
        while parked and not parked[0].left:
            parked.popleft()
        parked.append(note)

    def over(self, channel: InChannel) -> None:
        """No more comes from a channel."""
        self._open.remove(channel)
        if channel in self.lanes:
            self.lanes.remove(channel)

    def may_be_due(self) -> bool:
        """Whether anything is held that others may wait for; asked before every wait."""
        if self._gaps and any(intake.holds() for intake in self._gaps):
            return True  # the gap may show while we wait
        return bool(self.lanes) and self._parks()

    def at_once(self) -> None:
        """Nothing can be done with what is here: help where patience would be in vain."""
        if self._gaps:
            self.past_gaps()
        if (
            self.lanes
            and self._parks()
            and all(
                channel.receiver.writer_waits(writer)
                for channel in self._open
                for writer in range(channel.writers)
            )
        ):
            self.for_lanes()

    def for_lanes(self) -> None:
        """Let each writer that waits send one credit more.

        A writer may just be slow; so others run ahead slowly, and ``EARLY_MOST`` credits at most.
        """
        for channel in self.lanes:
            while channel.parked and not channel.parked[0].left:
                channel.parked.popleft()
            helped: set[int] = set()
            for note in channel.parked:
                waits = note.left > 0 and channel.receiver.writer_waits(note.writer)
                if waits and note.writer not in helped and channel.early < EARLY_MOST:
                    helped.add(note.writer)
                    self._advance(note, 1)

    def past_gaps(self) -> None:
        """Let writers that wait send on, where the unit that is due may never come."""
        for intake in self._gaps:
            if not intake.gapes():
                continue
            for note in intake.held():
                if note.left > 0 and note.channel.receiver.writer_waits(note.writer):
                    self._advance(note, note.left)

    def _parks(self) -> bool:
        return any(note.left for channel in self.lanes for note in channel.parked)

    def _advance(self, note: FrameNote, credits: int) -> None:
        self._row[TURNS] += 1  # we still wait, and yet the run moves
        note.advance(credits)
        note.channel.receiver.rouse()
