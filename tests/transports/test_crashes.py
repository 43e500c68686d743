"""What happens when a process at either end is killed, on every transport."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from pipeflow.errors import PeerClosed, PeerLost
from pipeflow.transports.base import FrameKind, Kind
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.counters import ReaderCell
from pipeflow.transports.shm import Arena
from pipeflow.transports.waiting import await_frames
from tests.transports.children import Child, Rig

Start = Callable[[Callable[[], None]], Child]
MakeRig = Callable[..., Rig]

pytestmark = pytest.mark.processes


def hang() -> None:
    """Wait for SIGKILL."""
    read, _write = os.pipe()
    os.read(read, 1)


def test_a_killed_writer_is_a_loss_after_what_it_had_sent(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind)

    def body() -> None:
        rig.sender().put_all(range(10))
        hang()

    child = start(body)
    reader = rig.receiver()
    got = [reader.open(reader.frame())[0] for _ in range(10)]
    child.kill()

    assert got == list(range(10))
    with pytest.raises(PeerLost):
        reader.frame()


def test_a_writer_killed_in_the_middle_of_a_frame_gives_no_part_of_it(
    make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(Kind.PIPE)
    child = start(lambda: rig.sender().put(bytes(50_000_000)))
    reader = rig.receiver()
    await_frames([reader.end], deadline_s=10)

    # A writer as quick as its reader would give the whole frame to one receive().
    child.halt()
    part = reader.end.receive()
    child.kill()

    assert part is None
    with pytest.raises(PeerLost):
        reader.frame()


def test_a_writer_learns_that_its_reader_was_killed_in_the_middle_of_a_frame(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind, capacity=1000)

    def read_a_little() -> None:
        reader = rig.receiver()
        reader.frame()
        os._exit(9)

    start(read_a_little)
    writer = rig.sender()

    with pytest.raises(PeerClosed):
        writer.put_all(bytes(60_000) for _ in range(1000))


def test_readers_of_a_queue_go_on_when_an_idle_one_is_killed(
    make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(Kind.QUEUE, readers=3)
    ready, tell = os.pipe()

    def idle() -> None:
        reader = rig.receiver(2)
        os.write(tell, b"1")
        await_frames([reader.end], deadline_s=20)  # never takes what it hears of
        hang()

    idler = start(idle)
    os.read(ready, 1)
    idler.kill()
    counted = [start(partial(count, rig, number)) for number in range(2)]
    writer = rig.sender()
    writer.put_all(range(1000))
    writer.end.end()
    os.close(ready)
    os.close(tell)

    assert sum(child.join() for child in counted) == 0
    assert rig.counters.lost(0) == 0
    assert rig.counters.in_flight() == 0


def count(rig: Rig, number: int) -> None:
    """Read to the end as one reader of several."""
    last = -1
    for item in rig.receiver(number).items():
        assert item > last
        last = item


def read_all(rig: Rig, number: int) -> None:
    """Read to the end, whatever the order of several writers."""
    assert set(rig.receiver(number).items()) <= set(range(rig.spec.writers))


def test_a_reader_of_a_queue_that_is_killed_while_it_reads_tears_nothing(
    make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(Kind.QUEUE, readers=2, capacity=64)
    told, tell = os.pipe()

    def take_for_ever() -> None:
        reader = rig.receiver(1)
        for taken in reader.batches():
            assert taken
            os.write(tell, b"1")

    def send() -> None:
        writer = rig.sender()
        writer.put_all(bytes([item % 251]) * 60_000 for item in range(600))
        writer.end.end()

    victim = start(take_for_ever)
    writer = start(send)
    os.read(told, 1)
    victim.kill()
    os.close(told)
    os.close(tell)
    received = sum(len(set(item)) == 1 for item in rig.receiver(0).items())

    assert writer.join() == 0
    # The victim had at most all credit in hand; nothing else is missing, and none is torn.
    assert received + rig.counters.over_readers(0, ReaderCell.CREDITS) >= 600
    assert received > 0


def test_a_queue_ends_when_its_last_writer_has(make_rig: MakeRig, start: Start) -> None:
    rig = make_rig(Kind.QUEUE, writers=3, readers=2)

    def send(number: int) -> None:
        writer = rig.sender(number)
        writer.put_all([number] * 200)
        writer.end.end()

    writers = [start(partial(send, number)) for number in range(3)]
    readers = [start(partial(read_all, rig, number)) for number in range(2)]
    rig.close_ends()

    assert [child.join() for child in (*writers, *readers)] == [0] * 5
    assert [rig.counters.lost(writer) for writer in range(3)] == [0, 0, 0]
    assert rig.counters.in_flight() == 0


def test_one_writer_of_a_queue_that_was_killed_is_a_loss(make_rig: MakeRig, start: Start) -> None:
    rig = make_rig(Kind.QUEUE, writers=2)

    def send(number: int) -> None:
        writer = rig.sender(number)
        writer.put(number)
        if number:
            hang()
        writer.end.end()

    writers = [start(partial(send, number)) for number in range(2)]
    reader = rig.receiver()
    frames = [reader.frame() for _ in range(3)]
    writers[1].kill()

    assert [frame.kind for frame in frames].count(FrameKind.END) == 1
    with pytest.raises(PeerLost, match="writer 1"):
        reader.frame()


def test_views_stay_valid_when_their_writer_is_dead(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind)

    def body() -> None:
        rig.sender().put_all(np.full(100_000, item) for item in range(20))
        hang()

    child = start(body)
    reader = rig.receiver()
    arrays = [reader.open(reader.frame())[0] for _ in range(20)]
    child.kill()
    reader.end.close()

    assert [(array[0], array.sum()) for array in arrays] == [
        (item, item * 100_000) for item in range(20)
    ]


def test_what_a_dead_worker_held_can_be_let_go(make_rig: MakeRig, start: Start) -> None:
    rig = make_rig(Kind.PIPE)
    told, tell = os.pipe()

    def hold() -> None:
        reader = rig.receiver()
        held = reader.open(reader.frame())
        os.write(tell, b"1")
        hang()
        del held

    holder = start(hold)
    writer = rig.sender()
    writer.put(np.zeros(100_000))
    os.read(told, 1)
    writer.end.settle()
    before = rig.arena.holders()
    holder.kill()
    rig.arena.bury(1)
    os.close(told)
    os.close(tell)

    assert [worker for worker, _ in before] == [1]
    assert rig.arena.holders() == ()


def test_what_is_passed_on_by_a_worker_that_ends_is_not_lent_again(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind)
    maker = Encoder(Arena.attach(rig.arena.handle, 1).pool)
    packets = [maker.encode([np.full(50_000, 7)])]

    def pass_on() -> None:
        writer = rig.sender()
        writer.put(*Decoder(writer.share.views).decode(packets[0]))
        writer.end.end()
        writer.share.close()
        # As when the interpreter ends: every object dies.
        del writer
        gc.collect()

    status = start(pass_on).join()
    packets.clear()
    for item in range(20):
        maker.encode([np.full(50_000, item)])
    (array,) = rig.receiver().items()

    assert status == 0
    assert set(array.tolist()) == {7}
