"""Arrays in shared memory: shared, never overwritten, never waited for, within the limit."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import MachineError, MemoryLimitReached, ProtocolError
from pipeflow.transports.base import Kind, SlotRef
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.layout import ArenaHandle, fitted
from pipeflow.transports.shelf import SHARED_FROM, size_class
from pipeflow.transports.shm import Arena, Share
from tests.transports.children import Child, Rig

Start = Callable[[Callable[[], None]], Child]
MakeRig = Callable[..., Rig]

MIB = 2**20


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(3, 64 * MIB)
    yield made
    made.close()


def shares(arena: Arena) -> tuple[Share, Share, Share]:
    """All workers in this process: what counts is in shared memory anyway."""
    first, second, third = (Arena.attach(arena.handle, worker) for worker in range(3))
    return first, second, third


@given(st.integers(1, 2**40))
def test_a_size_class_fits_and_wastes_a_quarter_at_most(nbytes: int) -> None:
    size = size_class(nbytes)

    assert size >= nbytes
    assert size % 4096 == 0
    assert size <= max(SHARED_FROM, nbytes * 1.25 + 4096)
    assert size_class(size) == size


def test_a_slot_is_lent_again_when_nobody_holds_it(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)

    for item in range(100):
        packet = encoder.encode([np.full(100_000, item)])
        (array,) = decoder.decode(packet)
        assert array[0] == item

    assert arena.usage()[0].slots <= 3
    assert arena.usage()[0].growths <= 3


def test_the_slot_that_came_back_last_is_lent_first(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    burst = [decoder.decode(encoder.encode([np.full(100_000, item)])) for item in range(8)]
    grown = arena.usage()[0].slots
    burst.clear()

    used = set()
    for item in range(50):
        packet = encoder.encode([np.full(100_000, item)])
        (ref,) = packet.buffers
        assert isinstance(ref, SlotRef)
        used.add(ref.slot)
        decoder.decode(packet)

    assert grown >= 8
    assert len(used) <= 2
    assert arena.usage()[0].slots == grown


def test_growth_waits_for_a_slot_to_come_back_and_counts_that(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    held = [decoder.decode(encoder.encode([np.zeros(8 * MIB, np.uint8)])) for _ in range(2)]
    release = threading.Event()

    def let_go() -> None:
        release.wait()
        held.clear()

    helper = threading.Thread(target=let_go)
    helper.start()
    before = arena.usage()[0].waits
    writer.pool.watch(OnSettle(release.set))  # asked while it waits, and before
    encoder.encode([np.zeros(8 * MIB, np.uint8)])
    helper.join()

    assert before == 0
    assert arena.usage()[0].waits <= 1
    assert arena.usage()[0].slots == 2


class OnSettle:
    """Stands for a sender; tells when it is asked to settle."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def settle(self) -> None:
        self._action()

    def kept(self) -> list[object]:
        return []


def test_who_keeps_everything_is_waited_for_but_a_few_times(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)

    kept = [decoder.decode(encoder.encode([np.zeros(MIB, np.uint8)])) for _ in range(60)]

    usage = arena.usage()[0]
    assert len(kept) == usage.slots == 60
    assert 1 <= usage.waits <= 6


def lend_beside_held_ones(arena: Arena, rounds: int) -> int:
    """How often it was waited, with two slots held and one that comes back each time."""
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    held = [decoder.decode(encoder.encode([np.zeros(MIB, np.uint8)])) for _ in range(3)]
    held.pop()
    before = arena.usage()[0].waits
    for _ in range(rounds):
        decoder.decode(encoder.encode([np.zeros(MIB, np.uint8)]))
    assert len(held) == 2
    return arena.usage()[0].waits - before


def test_what_does_not_fit_the_cache_is_waited_for_before_more_is_lent(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = lend_beside_held_ones(arena, 30)
    monkeypatch.setattr("pipeflow.transports.slots.CACHE_BYTES", 2 * MIB)
    other = Arena.create(3, 64 * MIB)
    too_much = lend_beside_held_ones(other, 30)
    other.close()

    assert fits == 0
    assert too_much >= 3


def test_arrays_that_go_by_too_fast_to_be_filled_are_not_waited_for(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeflow.transports.slots.CACHE_BYTES", 2 * MIB)
    monkeypatch.setattr("pipeflow.transports.slots._FILL_BYTES_PER_S", 0.0)
    other = Arena.create(3, 64 * MIB)

    too_fast = lend_beside_held_ones(arena, 400)
    monkeypatch.setattr("pipeflow.transports.slots._FILL_BYTES_PER_S", float("inf"))
    slow = lend_beside_held_ones(other, 400)

    other.close()
    assert too_fast < slow


def test_the_time_that_a_pool_waits_is_not_taken_for_work_on_its_arrays(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeflow.transports.slots.CACHE_BYTES", 2 * MIB)
    used_s = 0.0

    def give_way() -> None:
        nonlocal used_s
        used_s += 1.0

    with monkeypatch.context() as patched:
        patched.setattr("pipeflow.transports.slots.os.sched_yield", give_way)
        patched.setattr("pipeflow.transports.slots.time.process_time", lambda: used_s)
        nothing_but_waits = lend_beside_held_ones(arena, 400)
    monkeypatch.setattr("pipeflow.transports.slots._FILL_BYTES_PER_S", float("inf"))
    other = Arena.create(3, 64 * MIB)
    slow = lend_beside_held_ones(other, 400)
    other.close()

    assert used_s > 0
    assert nothing_but_waits < slow


def test_nobody_waits_for_what_this_worker_alone_holds(arena: Arena) -> None:
    writer, _, _ = shares(arena)

    mine = [writer.pool.empty(MIB, np.uint8) for _ in range(30)]
    writer.pool.close()

    assert len({array.ctypes.data for array in mine}) == 30
    assert arena.usage()[0].waits == 0


def test_a_slot_is_kept_by_any_view_of_it(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    packet = Encoder(writer.pool).encode([np.arange(100_000)])
    (array,) = Decoder(reader.views).decode(packet)
    corner = memoryview(array[10:20][::2])
    del array, packet

    held = arena.holders()
    kept = np.asarray(corner).copy()
    del corner
    gc.collect()

    assert [worker for worker, _ in held] == [1]
    assert kept.tolist() == [10, 12, 14, 16, 18]
    assert arena.holders() == ()


def test_passing_on_slicing_and_wrapping_copy_nothing(arena: Arena) -> None:
    first, second, third = shares(arena)
    (array,) = Decoder(second.views).decode(
        Encoder(first.pool).encode([np.arange(200_000).reshape(400, 500)])
    )

    packet = Encoder(second.pool).encode(
        [array, array[100:300], {"a": (array.T,)}, array[::-2, 5:400:3]]
    )
    whole, part, wrapped, strided = Decoder(third.views).decode(packet)

    assert packet.copied_bytes == 0
    assert packet.shared_bytes > array.nbytes
    assert arena.usage()[1].slots == 0
    expected = np.arange(200_000).reshape(400, 500)
    assert np.array_equal(whole, expected)
    assert np.array_equal(part, expected[100:300])
    assert np.array_equal(wrapped["a"][0], expected.T)
    assert np.array_equal(strided, expected[::-2, 5:400:3])
    assert not strided.flags.writeable


def test_frames_and_tables_are_passed_on_without_a_copy(arena: Arena) -> None:
    first, second, third = shares(arena)
    frame = pd.DataFrame({"x": np.arange(50_000.0), "n": np.arange(50_000)})

    (passed,) = Decoder(second.views).decode(Encoder(first.pool).encode([frame]))
    packet = Encoder(second.pool).encode([passed])
    (got,) = Decoder(third.views).decode(packet)

    assert got.equals(frame)
    assert packet.shared_bytes == 800_000
    assert packet.copied_bytes < 1000
    assert arena.usage()[1].slots == 0


def test_arrow_tables_are_passed_on_without_a_copy(arena: Arena) -> None:
    first, second, third = shares(arena)
    texts = pa.array([f"text {number}" for number in range(20_000)])
    table = pa.table({"x": np.arange(20_000.0), "text": texts})

    (passed,) = Decoder(second.views).decode(Encoder(first.pool).encode([table]))
    packet = Encoder(second.pool).encode([passed])
    (got,) = Decoder(third.views).decode(packet)

    assert got.equals(table)
    assert packet.shared_bytes > 300_000
    assert packet.copied_bytes < 1000
    assert arena.usage()[1].slots == 0


def test_bytes_of_objects_that_hide_their_base_are_found_by_where_they_lie(arena: Arena) -> None:
    first, second, third = shares(arena)
    (array,) = Decoder(second.views).decode(Encoder(first.pool).encode([np.arange(50_000)]))

    packet = Encoder(second.pool).encode([Opaque(array[1000:])])
    (got,) = Decoder(third.views).decode(packet)

    assert packet.shared_bytes == 49_000 * 8
    assert arena.usage()[1].slots == 0
    assert np.frombuffer(got, np.int64).tolist() == list(range(1000, 50_000))


class Opaque:
    """Offers its bytes to pickle through an address, as buffers of other libraries do."""

    def __init__(self, array: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        self._array = array

    def __reduce_ex__(self, _: SupportsIndex) -> Any:
        address, nbytes = self._array.ctypes.data, self._array.nbytes
        block = (ctypes.c_char * nbytes).from_address(address)
        return memoryview, (pickle.PickleBuffer(memoryview(block)),)


def test_what_was_passed_on_outlives_who_passed_it_on(arena: Arena) -> None:
    first, second, third = shares(arena)
    encoder = Encoder(first.pool)
    (array,) = Decoder(second.views).decode(encoder.encode([np.full(100_000, 1)]))
    (passed,) = Decoder(third.views).decode(Encoder(second.pool).encode([array]))
    del array

    for item in range(2, 20):
        encoder.encode([np.full(100_000, item)])

    assert set(passed.tolist()) == {1}


def test_an_empty_array_is_sent_without_a_copy_and_read_only_from_then_on(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    array = writer.pool.empty((300, 400), "f4")
    array[:] = 3
    packet = Encoder(writer.pool).encode([array])

    (got,) = Decoder(reader.views).decode(packet)

    assert (packet.shared_bytes, packet.copied_bytes) == (480_000, 0)
    assert np.array_equal(got, array)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    writer.pool.close()


def test_a_small_empty_array_is_an_ordinary_one(arena: Arena) -> None:
    writer, _, _ = shares(arena)

    array = writer.pool.empty(10, int)

    assert array.shape == (10,)
    assert arena.usage()[0].slots == 0


@pytest.mark.parametrize(
    "shape",
    [
        *(9000, np.int64(9000), (), (0, 9000), [90, 100], (np.int32(90), 100)),
        *(np.array([90, 100]), -9000, (90, -100), (2.5, 9000), "wide", None, ((90, 100), 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["f8", "M8[s]", ("f4", (3,)), "S7"])
def test_an_empty_array_takes_the_shapes_that_numpy_takes(
    arena: Arena, shape: Any, dtype: Any
) -> None:
    writer, _, _ = shares(arena)
    try:
        expected = np.empty(shape, dtype)
    except (TypeError, ValueError, MemoryError) as error:
        with pytest.raises((type(error), MemoryLimitReached)):
            writer.pool.empty(shape, dtype)
        return

    array = writer.pool.empty(shape, dtype)
    writer.pool.close()

    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    assert array.flags.writeable


def test_one_packet_to_four_readers_is_one_copy() -> None:
    arena = Arena.create(5, 64 * MIB)
    packet = Encoder(Arena.attach(arena.handle, 0).pool).encode([np.ones(10**6)])

    arrays = [
        Decoder(Arena.attach(arena.handle, reader).views).decode(packet)[0]
        for reader in range(1, 5)
    ]

    usage = arena.usage()[0]
    arena.close()
    assert [array.sum() for array in arrays] == [10**6] * 4
    assert usage.slots == 1
    assert usage.reserved_bytes == 8 * MIB


def test_ten_thousand_held_arrays_are_all_intact() -> None:
    arena = Arena.create(2, 512 * MIB)
    encoder = Encoder(Arena.attach(arena.handle, 0).pool)
    decoder = Decoder(Arena.attach(arena.handle, 1).views)
    window: deque[np.ndarray[tuple[int], np.dtype[np.int64]]] = deque(maxlen=10_000)

    for item in range(10_500):
        window.extend(decoder.decode(encoder.encode([np.full(4096, item)])))

    slots = arena.usage()[0].slots
    arena.close()
    assert [int(array[0]) for array in window] == list(range(500, 10_500))
    assert all((array == array[0]).all() for array in window)
    assert slots < 10_400


@pytest.mark.processes
def test_a_window_of_arrays_in_another_process_is_never_overwritten(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind, capacity=8)

    def send() -> None:
        writer = rig.sender()
        for item in range(400):
            array = writer.share.pool.empty(20_000, np.int64)
            array[:] = item
            writer.put(array)
        writer.end.end()
        writer.share.close()

    child = start(send)
    window: deque[tuple[int, np.ndarray[tuple[int], np.dtype[np.int64]]]] = deque(maxlen=50)
    wrong = 0
    for item, array in enumerate(rig.receiver().items()):
        window.append((item, array))
        wrong += any((held != number).any() for number, held in window)

    assert child.join() == 0
    assert len(window) == 50
    assert wrong == 0


@pytest.mark.processes
def test_a_process_that_user_code_forks_neither_lends_nor_lets_go(
    arena: Arena, start: Start
) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    held = decoder.decode(encoder.encode([np.full(20_000, 7)]))

    def forget() -> None:
        held.clear()
        gc.collect()
        assert writer.pool.reserve(MIB) is None
        assert writer.pool.place((MIB,), np.uint8, MIB, "C") is None
        assert writer.pool.empty(MIB, np.uint8).nbytes == MIB

    assert start(forget).join() == 0
    for item in range(10):
        encoder.encode([np.full(20_000, item)])
    assert (held[0] == 7).all()


@given(st.integers(1, 64), st.integers(MIB, 2**40), st.integers(16 * MIB, 2**45))
def test_an_arena_fits_the_address_space_or_says_what_it_needs(
    workers: int, limit: int, space: int
) -> None:
    wanted = ArenaHandle(fd=-1, workers=workers, limit_bytes=limit)

    try:
        handle = fitted(wanted, space)
    except MachineError as error:
        need = int(re.findall(r"needs (\d+) MiB", str(error))[0]) * MIB
        assert space < need
        assert fitted(wanted, need + MIB).mapped_bytes <= need
        return

    assert handle.mapped_bytes <= space // 2 or handle == wanted
    assert handle.range_bytes >= min(4 * MIB, limit)
    assert fitted(wanted, None) == wanted


def test_a_buffer_that_finds_no_addresses_travels_in_its_frame() -> None:
    arena = Arena.create(2, 1024 * MIB, address_space=100 * MIB)
    writer, reader = (Arena.attach(arena.handle, worker) for worker in range(2))
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    arrays = [np.full(4 * MIB, number, np.uint8) for number in range(6)]

    kept = [decoder.decode(encoder.encode([array]))[0] for array in arrays]

    assert [array[-1] for array in kept] == list(range(6))
    assert arena.usage()[0].fallbacks > 0
    arena.close()


def test_the_limit_names_who_holds_most(arena: Arena) -> None:
    writer, reader, third = shares(arena)
    encoder = Encoder(writer.pool)
    decoder, other = Decoder(reader.views), Decoder(third.views)
    kept = other.decode(encoder.encode([np.zeros(MIB, np.uint8)]))

    for _ in range(15):
        kept += decoder.decode(encoder.encode([np.zeros(4 * MIB, np.uint8)]))
    with pytest.raises(MemoryLimitReached) as caught:
        encoder.encode([np.zeros(4 * MIB, np.uint8)])

    assert caught.value.limit == 64 * MIB
    assert caught.value.wanted == 4 * MIB
    assert caught.value.holders == ((1, 60 * MIB), (2, MIB))
    assert sum(usage.reserved_bytes for usage in arena.usage()) <= 64 * MIB


def test_memory_of_other_sizes_is_given_back_before_the_limit_counts(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    arrays = [decoder.decode(encoder.encode([np.zeros(MIB, np.uint8)])) for _ in range(60)]
    arrays.clear()

    (large,) = decoder.decode(encoder.encode([np.ones(50 * MIB, np.uint8)]))

    blocks = os.fstat(arena.fds[0]).st_blocks * 512
    assert large[-1] == 1
    assert arena.usage()[0].reserved_bytes <= 64 * MIB
    assert blocks <= 66 * MIB


def test_idle_memory_of_another_pool_is_given_back_when_it_is_wanted(arena: Arena) -> None:
    first, second, _ = shares(arena)
    Encoder(first.pool).encode([np.zeros(40 * MIB, np.uint8)])
    stop = threading.Event()

    def tidy() -> None:
        while not stop.wait(0.005):
            first.pool.tidy()

    idle = threading.Thread(target=tidy)
    idle.start()
    packet = Encoder(second.pool).encode([np.zeros(40 * MIB, np.uint8)])
    stop.set()
    idle.join()

    assert packet.shared_bytes == 40 * MIB
    assert [usage.reserved_bytes for usage in arena.usage()] == [0, 40 * MIB, 0]


def test_a_worker_that_closes_gives_its_free_memory_back(arena: Arena) -> None:
    handle = arena.handle
    writer = Arena.attach(
        type(handle)(fd=os.dup(handle.fd), workers=3, limit_bytes=handle.limit_bytes),
        0,
    )
    reader = Arena.attach(handle, 1)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    held = decoder.decode(encoder.encode([np.full(MIB, 7, np.uint8)]))
    decoder.decode(encoder.encode([np.zeros(8 * MIB, np.uint8)]))

    writer.close()

    assert arena.usage()[0].reserved_bytes == MIB
    assert int(held[0].sum()) == 7 * MIB


def test_a_full_table_sends_buffers_in_their_frames() -> None:
    arena = Arena.create(2, 64 * MIB, max_slots=256)
    encoder = Encoder(Arena.attach(arena.handle, 0).pool)

    packets = [encoder.encode([np.full(5000, item)]) for item in range(300)]

    fallbacks = arena.usage()[0].fallbacks
    arena.close()
    assert [packet.copied_bytes for packet in packets] == [0] * 256 + [40_000] * 44
    assert fallbacks == 44


def test_nobody_can_shrink_the_memory_under_a_reader(arena: Arena) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(arena.fds[0], 4096)


def test_a_reference_to_nowhere_is_refused(arena: Arena) -> None:
    writer, _, _ = shares(arena)

    with pytest.raises(ProtocolError):
        writer.views.view(SlotRef(9, 0, 0, 10))
    with pytest.raises(ProtocolError):
        writer.views.view(SlotRef(0, 0, 2**50, 10))


def test_a_slot_is_lent_out_unless_its_owner_alone_holds_it(arena: Arena) -> None:
    writer, reader, _ = shares(arena)
    holders = writer._maps.holders
    placed = writer.pool.place((MIB,), np.dtype("u1"), MIB, None)
    assert placed is not None
    array, place = placed
    del placed

    states = [holders.is_lent_out(0, place.slot)]
    view = reader.views.view(place)
    states.append(holders.is_lent_out(0, place.slot))
    del array
    states.append(holders.is_lent_out(0, place.slot))
    del view
    states.append(holders.is_lent_out(0, place.slot))
    writer.pool.close()

    assert states == [False, True, True, True]
