from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.frame_size import LONGEST_LOOK_S, LOOK_S, FrameSize, frame_items
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.runtime.loops.rows import append_from
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Encoder
from tests.runtime.loop_fakes import PlainAsPackets


class Shared(PlainAsPackets):
    """The end of a channel from which several replicas take."""

    hands_over = False

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self.lengths: list[int] = []
        self.done = 0

    def room(self, _nbytes: int = 0) -> int:
        return 1000

    def bytes_left(self) -> int:
        return 2**20

    def idle(self) -> bool:
        return False

    def credit_cells(self) -> None:
        return None

    def taken(self) -> int:
        return self.done

    def send(self, _meta: bytes, packet: Packet, _credits: int) -> None:
        self.lengths.append(packet.items)


def lengths(readers: int, *, per_second: int) -> list[int]:
    """How long the frames are that replicas get who take so many items a second together."""
    now_s, end = 0.0, Shared(readers)
    row: Words = memoryview(bytearray(64)).cast("Q")
    way = Express(
        Target([OutChannel(end, 0, row)]),  # type: ignore[arg-type]  # only what it uses
        encoder=Encoder(),
        counter=(memoryview(bytearray(8)).cast("Q"), 0),
        lock=threading.Lock(),
        wait_for_room=lambda _: None,
        reader_left=lambda: None,
        batch_items=64,
        now=lambda: now_s,
    )
    done = 0
    for moment in range(600):
        now_s = moment / 1000
        end.done = int(now_s * per_second)
        items = iter([*range(10)])
        taken = 0
        while taken < 10:
            numbers = (done + taken, 1, way.room((0,), done + taken))
            taken += append_from(items, numbers, express=way, asking=bytearray(1)).appended
        done += 10
    return end.lengths


def test_replicas_that_share_a_channel_get_as_much_at_once_as_each_does_in_a_moment() -> None:
    assert max(lengths(2, per_second=10)) == 1
    assert 4 <= max(lengths(2, per_second=1000)[-50:]) <= 5
    assert 2 <= max(lengths(4, per_second=1000)[-50:]) <= 3


def test_a_single_reader_gets_all_there_is_at_once() -> None:
    assert max(lengths(1, per_second=10)) > 16


def test_a_moment_in_which_hardly_anything_was_taken_tells_nothing() -> None:
    done = 0
    size = FrameSize(lambda: done, 1, 0.0)
    done = 3

    assert size.look(LOOK_S * 0.9, before=4, most=64) == 4
    assert size.look(LOOK_S * 1.1, before=4, most=64) == 4
    assert size.look(LONGEST_LOOK_S * 1.1, before=4, most=64) == 1


@given(
    rate=st.floats(0, 1e9),
    before=st.integers(1, 256),
    most=st.integers(1, 256),
)
def test_a_frame_holds_the_work_of_a_moment_and_at_least_one_item(
    rate: float, before: int, most: int
) -> None:
    items = frame_items(rate, before=before, most=most)

    assert 1 <= items <= most
    assert items <= 4 * before
    assert items == 1 or items <= rate * 0.01
