"""Dead letters have readers of their own, who get them though nobody reads the results any more."""

from __future__ import annotations

from typing import Any

import pytest

from pipeflow.errors import PeerClosed
from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Encoder
from tests.runtime.loop_fakes import PlainAsPackets


class Sender(PlainAsPackets):
    """Keeps the parts that it was asked to send, or has lost its reader."""

    hands_over = False

    def __init__(self, *, room: int = 100, gone: bool = False, idle: bool = True) -> None:
        self.parts: list[Part] = []
        self.free, self.gone, self.has_nothing = room, gone, idle

    def room(self, _nbytes: int = 0) -> int:
        return self.free

    def bytes_left(self) -> int:
        return 2**20

    def idle(self) -> bool:
        return self.has_nothing

    def credit_cells(self) -> None:
        """It has none."""

    def close(self) -> None:
        """There is nothing behind it."""

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        if self.gone:
            raise PeerClosed("its reader has closed")
        self.parts += parts_of(meta, [None] * packet.items)


def outbox_to(results: Sender, letters: Sender, numbering: Numbering = Numbering.KEEP) -> Outbox:
    def port(name: str, sender: Sender) -> OutPort:
        channel = OutChannel(sender, 0, memoryview(bytearray(256)).cast("Q"))  # type: ignore[arg-type]  # only what it uses
        spread = Spread(Route.SINGLE, [Target([channel])])
        return OutPort(name, [spread], needed=name != "errors")

    def wait(_targets: Any) -> None:
        letters.free += 1

    return Outbox(
        {"out": port("out", results), "errors": port("errors", letters)},
        numbering=numbering,
        encoder=Encoder(),
        wait_for_room=wait,
        counters=(memoryview(bytearray(64)).cast("Q"), {"out": 0, "errors": 1}),
    )


def units_of(sender: Sender) -> list[tuple[int, int, bool]]:
    """Number, items, and whether it ends, of each part."""
    return [(part.unit, len(part.items), part.closed) for part in sender.parts]


def read_no_more(outbox: Outbox) -> None:
    with pytest.raises(ReadersGone):
        outbox.emit_whole("out", "a result", (0, 0), 0, 0)


def test_a_letter_leaves_though_it_has_to_wait_and_all_results_are_in_vain() -> None:
    letters = Sender()
    outbox = outbox_to(Sender(gone=True), letters)
    read_no_more(outbox)
    letters.free = 0

    outbox.emit("errors", "a letter", (0, 1), 0, 1)
    outbox.end_unit(0, 1, 1, free=False, letters_only=True)
    outbox.flush()

    assert units_of(letters) == [(0, 0, True), (1, 1, True)]


def test_its_readers_hear_once_of_each_unit_that_is_over() -> None:
    letters = Sender()
    outbox = outbox_to(Sender(gone=True), letters)

    outbox.end_unit(0, 0, 1, free=False)
    with pytest.raises(ReadersGone):
        outbox.flush()
    outbox.end_unit(0, 1, 1, free=False, letters_only=True)
    outbox.flush()

    assert units_of(letters) == [(0, 0, True), (1, 0, True)]


def test_its_readers_hear_of_the_units_around_a_result_that_nobody_reads() -> None:
    letters = Sender()
    outbox = outbox_to(Sender(gone=True), letters)

    with pytest.raises(ReadersGone):
        outbox.emit_whole("out", "a result", (0, 4), 0, 4, over=(2, 6))
    outbox.flush()

    told = [(part.unit, part.span, part.cost) for part in letters.parts]
    assert told == [(2, 2, 0), (4, 1, 1), (5, 1, 0)]


def test_who_counts_over_all_ports_leaves_out_none_on_the_letters() -> None:
    letters = Sender()
    outbox = outbox_to(Sender(gone=True), letters, Numbering.PER_STAGE)
    with pytest.raises(ReadersGone):
        outbox.emit("out", "a result", (0, 0), 0, 0)

    outbox.emit("errors", "a letter", (0, 1), 0, 0)
    outbox.flush()

    assert units_of(letters) == [(0, 0, True), (1, 1, True)]


@pytest.mark.parametrize("numbering", [Numbering.KEEP, Numbering.PER_PORT])
def test_letters_that_wait_leave_though_the_results_that_wait_beside_them_find_nobody(
    numbering: Numbering,
) -> None:
    results, letters = Sender(idle=False), Sender(idle=False)
    outbox = outbox_to(results, letters, numbering)
    outbox.emit("out", "a result", (0, 0), 0, 0)
    outbox.emit("errors", "a letter", (0, 1), 0, 0)
    results.gone = True
    assert letters.parts == []

    with pytest.raises(ReadersGone):
        outbox.flush_old()  # the second thread: nobody else may come for a long time

    assert [len(part.items) for part in letters.parts] == [1]
