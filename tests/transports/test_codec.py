"""Objects to packets and back, without processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import ItemNotLoadable, ItemNotSerializable
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.shm import Arena, Share


@dataclass
class Box:
    content: object
    label: str = ""


class Slotted:
    __slots__ = ("door",)

    def __init__(self, door: object) -> None:
        self.door = door


class Refuses:
    def __reduce__(self) -> Any:
        raise KeyError("no key")


class Explodes:
    """Loads badly."""

    def __reduce__(self) -> Any:
        return explode, (1, [2, (3, "x")])


def explode(*_: object) -> None:
    raise OSError("no such file")


class Stateful:
    """Pickles without its lock, as authors do."""

    def __init__(self) -> None:
        self.lock, self.bad = threading.Lock(), threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {"bad": self.bad}


@pytest.fixture(params=["frames", "slots"])
def coder(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Without shared memory, and with it."""
    if request.param == "frames":
        yield [Encoder(), Decoder()]
        return
    arena = Arena.create(2, 2**28)
    writer, reader = Share(arena.handle, 0), Share(arena.handle, 1)
    both = [Encoder(writer.pool), Decoder(reader.views)]
    yield both
    both.clear()  # pytest keeps the list itself beyond the look for leftovers
    arena.close()


ARRAYS = {
    "0-d": np.array(3.5),
    "empty": np.zeros((0, 3)),
    "small": np.arange(10),
    "large": np.arange(100_000).reshape(100, 1000),
    "fortran": np.asfortranarray(np.arange(100_000).reshape(100, 1000)),
    "strided": np.arange(200_000).reshape(200, 1000)[::2, ::-3],
    "small strided": np.arange(100).reshape(10, 10)[::-2, 1:4],
    "structured": np.zeros(5000, dtype=[("a", "<i4"), ("b", "f8", (2,))]),
    "text": np.array(["sea", "sand"]),
    "dates": np.arange("2020-01", "2020-12", dtype="M8[D]"),
    "big-endian": np.arange(10_000, dtype=">f8"),
    "bool": np.ones((300, 300), bool),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_kind_arrive_read_only(name: str, coder: list[Any]) -> None:
    encoder, decoder = coder
    array = ARRAYS[name]

    (box,) = decoder.decode(encoder.encode([Box({"deep": (array,)})]))

    (got,) = box.content["deep"]
    assert type(got) is np.ndarray
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert np.array_equal(got, array)
    assert not got.flags.writeable


@pytest.mark.parametrize("name", ARRAYS)
def test_private_arrays_may_be_written_even_if_the_senders_may_not(
    name: str, coder: list[Any]
) -> None:
    encoder, decoder = coder
    array = ARRAYS[name].copy()
    array.flags.writeable = False
    packet = encoder.encode([array])

    (first,), (second,) = (decoder.decode(packet, private=True) for _ in range(2))
    first[...] = np.zeros((), array.dtype)

    assert first.flags.writeable
    assert np.array_equal(second, array)


def test_arrays_of_subclasses_and_of_objects_arrive(coder: list[Any]) -> None:
    encoder, decoder = coder
    records = np.zeros(3, [("x", "i4")]).view(np.recarray)
    objects = np.array([1, None, "a"], dtype=object)

    got_records, got_objects = decoder.decode(encoder.encode([records, objects]))

    assert isinstance(got_records, np.recarray)
    assert not got_records.flags.writeable
    assert got_objects.tolist() == [1, None, "a"]


def test_buffers_of_other_objects_travel_beside_the_pickle(
    coder: list[Any],
) -> None:
    encoder, decoder = coder
    large, small = pickle.PickleBuffer(bytearray(b"a" * 50_000)), pickle.PickleBuffer(b"tiny")
    array = np.arange(9000)

    packet = encoder.encode([array, large, array[:10], small])
    got = decoder.decode(packet)

    assert len(packet.buffers) == 4
    assert np.array_equal(got[0], array)
    assert bytes(got[1]) == b"a" * 50_000
    assert np.array_equal(got[2], array[:10])
    assert bytes(got[3]) == b"tiny"


def test_one_array_in_two_places_stays_one(coder: list[Any]) -> None:
    encoder, decoder = coder
    array = np.zeros(100_000)

    packet = encoder.encode([{"a": array, "b": [array]}])
    (got,) = decoder.decode(packet)

    assert len(packet.buffers) == 1
    assert got["a"] is got["b"][0]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(plain, max_size=10))
def test_plain_items_come_back_equal(items: list[object]) -> None:
    assert Decoder().decode(Encoder().encode(items)) == items


def iter_nothing() -> Iterator[None]:
    yield None


def nested(depth: int) -> list[Any]:
    whole: list[Any] = []
    for _ in range(depth):
        whole = [whole]
    return whole


def circular() -> list[Any]:
    whole: list[Any] = []
    whole += [whole, {"back": whole, "bad": Refuses()}]
    return whole


@pytest.mark.parametrize(
    ("items", "index", "path", "reason"),
    [
        ([1, {"a": Box(threading.Lock())}], 1, "item['a'].content", "cannot pickle"),
        ([0, 0, lambda: 0], 2, "item", "<lambda>"),
        ([Refuses()], 0, "item", "KeyError: 'no key'"),
        ([(1, [2, Slotted(threading.Lock())])], 0, "item[1][1].door", "cannot pickle"),
        ([Stateful()], 0, "item.bad", "cannot pickle"),
        ([{Box: 1, "k": {frozenset([1]): os.scandir}}, iter_nothing()], 1, "item", "generator"),
        ([np.array([1, Refuses()], object)], 0, "item", "KeyError"),
        ([nested(100_000)], 0, "item", "RecursionError"),
        ([circular()], 0, "item[1]['bad']", "KeyError"),
    ],
)
def test_what_cannot_be_pickled_is_named(
    items: list[object], index: int, path: str, reason: str
) -> None:
    with pytest.raises(ItemNotSerializable) as caught:
        Encoder().encode(items)

    assert caught.value.index == index
    assert caught.value.path.startswith(path)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("count", "bad"), [(1, 0), (2, 1), (5, 3), (1001, 999), (1001, 1000), (2500, 1700)]
)
def test_what_cannot_be_loaded_is_named(count: int, bad: int, coder: list[Any]) -> None:
    encoder, decoder = coder
    items: list[object] = [Box({"n": (n, np.arange(n % 7))}) for n in range(count)]
    items[bad] = {"deep": [Explodes()]}

    with pytest.raises(ItemNotLoadable) as caught:
        decoder.decode(encoder.encode(items))

    assert (caught.value.index, caught.value.reason) == (bad, "OSError: no such file")


def test_errors_of_the_codec_cross_processes() -> None:
    error = ItemNotLoadable(3, "why")

    again = pickle.loads(pickle.dumps(error))

    assert (again.index, str(again)) == (3, "an item cannot be unpickled: why")


def test_a_failed_encoding_holds_no_memory() -> None:
    arena = Arena.create(1, 2**26)
    encoder = Encoder(Share(arena.handle, 0).pool)

    with pytest.raises(ItemNotSerializable):
        encoder.encode([np.zeros(10**6), Refuses()])

    holders = arena.holders()
    arena.close()
    assert holders == ()


@pytest.mark.processes
def test_numpy_is_not_loaded_for_plain_items() -> None:
    program = (
        "import sys; from pipeflow.transports.codec import Encoder, Decoder; "
        "from pipeflow.transports import channel, shm, waiting, inline; "
        "arena = shm.Arena.create(1, 2**26); share = shm.Share(arena.handle, 0); "
        "Decoder(share.views).decode(Encoder(share.pool).encode([{'a': 1}])); "
        "print([m for m in ('numpy', 'asyncio', 'multiprocessing') if m in sys.modules])"
    )

    output = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert output.strip() == "[]"
