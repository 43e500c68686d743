"""How many bytes of shared arrays the express way lets onto an edge."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.transports import credit
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Encoder
from pipeflow.transports.shm import Arena
from pipeflow.transports.slots import SlotPool
from tests.runtime.loop_fakes import PlainAsPackets

KIB = 1024
CAPACITY = 8
CAPACITY_BYTES = 400 * KIB


class Reader(PlainAsPackets):
    """The end of a channel whose reader takes frames when it is told to."""

    hands_over = False

    def __init__(self, *, singly: bool) -> None:
        self.frames: deque[tuple[int, int]] = deque()  # credits, bytes
        self._singly = singly

    def is_taken_singly(self) -> bool:
        return self._singly

    def credit_cells(self) -> None:
        return None

    def in_flight(self) -> tuple[int, int]:
        return sum(cost for cost, _ in self.frames), sum(nbytes for _, nbytes in self.frames)

    def room(self, nbytes: int = 0) -> int:
        items, in_flight = self.in_flight()
        return credit.room(
            in_flight=items,
            capacity=CAPACITY,
            bytes_in_flight=in_flight,
            capacity_bytes=CAPACITY_BYTES,
            nbytes=nbytes,
        )

    def bytes_left(self) -> int:
        return CAPACITY_BYTES - self.in_flight()[1]

    def idle(self) -> bool:
        return not self.frames

    def send(self, _meta: bytes, packet: Packet, credits: int) -> None:
        self.frames.append((credits, packet.shared_bytes))


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(1, 64 * 2**20)
    yield made
    made.close()


def express_to(
    reader: Reader, pool: SlotPool, wait: Callable[[Sequence[Target]], None], cells: Words
) -> Express:
    edge: Words = memoryview(bytearray(64)).cast("Q")
    return Express(
        Target([OutChannel(reader, 0, edge, CAPACITY_BYTES)]),  # type: ignore[arg-type]  # only what it uses
        encoder=Encoder(pool),
        counter=(cells, 0),
        lock=threading.Lock(),
        wait_for_room=wait,
        reader_left=lambda: None,
        batch_items=64,
    )


@pytest.mark.parametrize("singly", [False, True])
def test_arrays_leave_one_by_one_where_that_is_as_quick_or_nobody_else_is_at_work(
    arena: Arena, singly: bool
) -> None:
    pool = Arena.attach(arena.handle, 0).pool
    reader, cells = Reader(singly=singly), memoryview(bytearray(8)).cast("Q")
    express = express_to(reader, pool, lambda _: None, cells)

    express.put(pool.empty(40 * KIB, np.uint8), 0)
    idle = [*reader.frames]
    for ordinal in range(1, 4):
        express.put(pool.empty(40 * KIB, np.uint8), ordinal)
    busy = [*reader.frames]
    express.flush()
    pool.close()

    one = (1, 40 * KIB)
    assert idle == [one]
    assert busy == [one] * (4 if singly else 1)
    assert [*reader.frames] == ([one] * 4 if singly else [one, (3, 120 * KIB)])
    assert cells[0] == 4


@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_an_array_waits_exactly_while_what_is_ahead_of_it_fills_the_edge(
    arena: Arena, seed: int, singly: bool
) -> None:
    pool = Arena.attach(arena.handle, 0).pool
    chance, reader = random.Random(seed), Reader(singly=singly)
    waits: list[tuple[int, int]] = []
    cells: Words = memoryview(bytearray(8)).cast("Q")

    def wait(_targets: Sequence[Target]) -> None:
        waits.append(reader.in_flight())
        express.flush()
        reader.frames.popleft()

    express = express_to(reader, pool, wait, cells)
    for ordinal in range(300):
        items, nbytes = reader.in_flight()
        ahead = len(express.run.payloads)
        full = items > 0 and (
            items + ahead >= CAPACITY
            or nbytes >= CAPACITY_BYTES
            or nbytes + express.run.shared_bytes > CAPACITY_BYTES
        )
        before = len(waits)

        express.put(pool.empty(chance.choice([10, 40, 90, 500]) * KIB, np.uint8), ordinal)

        assert (len(waits) > before) == full
        while reader.frames and chance.random() < 0.3:
            reader.frames.popleft()
    pool.close()
    assert waits
    assert cells[0] == 300 - len(express.run.payloads)
