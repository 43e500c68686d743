"""What was sent stays as it was: neither its sender nor its reader can have it writable again."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import pytest

from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.sealing import lend
from pipeflow.transports.shm import Arena, Share
from pipeflow.values import replace

MIB = 2**20
LENGTH = 100_000

Array = np.ndarray[Any, Any]


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(2, 64 * MIB)
    yield made
    made.close()


@pytest.fixture
def writer(arena: Arena) -> Iterator[list[Share]]:
    """One share, in a list that is empty in the end: pytest keeps what a test was given."""
    with attached(arena) as share:
        given = [share]
        yield given
        given.clear()


@contextmanager
def attached(arena: Arena) -> Iterator[Share]:
    share = Arena.attach(replace(arena.handle, fd=os.dup(arena.handle.fd)), 0)
    yield share
    share.close()


def at_once(pool: Any, payload: object) -> None:
    Encoder(pool).encode([payload])


def in_a_pile(pool: Any, payload: object) -> None:
    Encoder(pool).pile().add(payload)


@pytest.fixture(params=[at_once, in_a_pile])
def send(request: pytest.FixtureRequest) -> Callable[[Any, object], None]:
    sends: Callable[[Any, object], None] = request.param
    return sends


class Offered:
    """Gives its array's bytes to pickle as a buffer, as objects of other libraries do."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __reduce_ex__(self, _: SupportsIndex) -> Any:
        return bytearray, (pickle.PickleBuffer(self._array),)


def read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array


SENT = {
    "itself": lambda array: array,
    "in a dict": lambda array: {"array": array},
    "a slice": lambda array: array[10 : LENGTH - 10],
    "another shape": lambda array: array.reshape(100, -1),
    "strided": lambda array: array[::-3],
    "a slice that is read-only already": lambda array: read_only(array[:]),
    "read-only already": read_only,
    "broadcast": lambda array: np.broadcast_to(array, (2, LENGTH)),
    "records": lambda array: array.view([("x", "i8")]).view(np.recarray),
    "a buffer": Offered,
}


@pytest.mark.parametrize("form", SENT.values(), ids=SENT.keys())
def test_what_was_sent_cannot_be_made_writable_again(
    writer: list[Share], send: Callable[[Any, object], None], form: Callable[[Array], object]
) -> None:
    array = writer[0].pool.empty(LENGTH, np.int64)
    array[:] = 7

    send(writer[0].pool, form(array))

    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.setflags(write=True)


@pytest.mark.parametrize("form", ["itself", "a slice", "another shape", "in a dict"])
def test_views_made_before_it_was_sent_cannot_be_made_writable_again(
    writer: list[Share], send: Callable[[Any, object], None], form: str
) -> None:
    array = writer[0].pool.empty(LENGTH, np.int64)
    row, square, still = array[5:], array.reshape(10, -1), read_only(array[::2])

    send(writer[0].pool, SENT[form](array))

    for view in (row, square, still, array[3:]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.setflags(write=True)


def test_what_was_not_sent_yet_can_be_made_read_only_and_writable(writer: list[Share]) -> None:
    array = writer[0].pool.empty(LENGTH, np.int64)
    row = array[5:]

    for each in (array, row):
        each.setflags(write=False)
        each.setflags(write=True)
        each[:] = 3

    assert array[5] == 3


def test_an_array_that_could_not_be_sent_is_still_its_makers(writer: list[Share]) -> None:
    array = writer[0].pool.empty(LENGTH, np.int64)

    with pytest.raises(Exception, match="pickle"):
        Encoder(writer[0].pool).pile().add([array, lambda: None])

    array[0] = 1
    assert array[0] == 1


@pytest.mark.parametrize("nbytes", [80, 8 * LENGTH])
@pytest.mark.parametrize("form", ["itself", "a slice", "strided", "in a dict"])
def test_what_was_received_cannot_be_made_writable(
    arena: Arena, writer: list[Share], form: str, nbytes: int
) -> None:
    array = np.resize(np.arange(LENGTH), nbytes // 8)
    reader = Arena.attach(arena.handle, 1)
    packet = Encoder(writer[0].pool).encode([SENT[form](array)])

    (got,) = Decoder(reader.views).decode(packet)
    got = got["array"] if isinstance(got, dict) else got

    for each in (got, got[:2], got.view()):
        with pytest.raises(ValueError, match="WRITEABLE"):
            each.setflags(write=True)


def test_what_was_sent_outlives_the_pool_that_it_came_from(arena: Arena) -> None:
    with attached(arena) as share:
        arrays = [share.pool.empty(LENGTH, np.int64) for _ in range(3)]
        for number, array in enumerate(arrays):
            array[:] = number
        in_a_pile(share.pool, arrays[0])
        in_a_pile(share.pool, arrays[1][50:])

    del share
    gc.collect()

    assert [set(array.tolist()) for array in arrays] == [{0}, {1}, {2}]


def test_the_memory_goes_with_the_last_array_of_a_pool_that_is_gone(arena: Arena) -> None:
    with attached(arena) as share:
        array = share.pool.empty(LENGTH, np.int64)
        in_a_pile(share.pool, array)
    address = array.ctypes.data
    del share
    gc.collect()
    before = is_mapped(address)

    del array
    gc.collect()

    assert before
    assert not is_mapped(address)


def is_mapped(address: int) -> bool:
    """Whether this process has something at this address."""
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return True
    return False


@pytest.mark.parametrize("form", ["itself", "in a dict", "a slice", "another shape", "strided"])
def test_without_shared_memory_a_lent_array_is_sealed_as_well(
    send: Callable[[Any, object], None], form: str
) -> None:
    array = lend(LENGTH, np.int64)
    array[:] = 7
    row = array[5:]

    send(None, SENT[form](array))
    gc.collect()

    assert set(row.tolist()) == {7}
    for each in (array, row):
        with pytest.raises(ValueError, match="WRITEABLE"):
            each.setflags(write=True)


def test_what_is_small_or_was_not_sent_stays_its_makers() -> None:
    small, whole, part = lend(10, np.int64), lend(LENGTH, np.int64), lend(LENGTH, np.int64)

    Encoder(None).encode([small, whole.copy(), part[:10]])

    for each in (small, whole, part):
        each[:] = 1
        assert each.flags.writeable


@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[s]", [("day", "M8[D]"), ("n", "i4")], ">f8"])
def test_types_that_buffers_do_not_know_are_lent_too(dtype: Any) -> None:
    array = lend((LENGTH, 2), dtype)
    array[:] = np.zeros(2, dtype)

    Encoder(None).encode([array])

    assert (array.shape, array.dtype) == ((LENGTH, 2), np.dtype(dtype))
    assert not array.flags.writeable
