from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import ItemNotLoadable, ItemNotSerializable
from pipeflow.transports.codec import Decoder, Encoder


def test_what_was_added_is_what_it_was_then() -> None:
    pile = Encoder().pile()
    record: dict[str, Any] = {"n": 0, "row": np.zeros(3)}

    for number in range(3):
        record["n"] = number
        record["row"][:] = number
        pile.add(record)
    payloads = Decoder().decode(pile.packet())

    assert [payload["n"] for payload in payloads] == [0, 1, 2]
    assert [payload["row"].tolist() for payload in payloads] == [[n] * 3 for n in range(3)]
    assert not any(payload["row"].flags.writeable for payload in payloads)


def test_an_object_that_cannot_be_pickled_leaves_the_pile_as_it_was() -> None:
    pile = Encoder().pile()
    pile.add({"fine": np.ones(2)})

    with pytest.raises(ItemNotSerializable, match=r"item\['lock'\]"):
        pile.add({"array": np.ones(4), "lock": threading.Lock()})
    pile.add([1])
    packet = pile.packet()

    assert packet.items == 2
    assert len(packet.buffers) == 1
    first, second = Decoder().decode(packet)
    assert (first["fine"].tolist(), second) == ([1.0, 1.0], [1])


def test_arrays_of_a_pile_come_back_in_order_whatever_is_around_them() -> None:
    pile = Encoder().pile()
    array = np.arange(3)

    for payload in (array, array * 2, {"deep": array}, np.array([None, 1]), "text"):
        pile.add(payload)
    first, second, third, objects, text = Decoder().decode(pile.packet())

    assert first.tolist() == [0, 1, 2]
    assert second.tolist() == [0, 2, 4]
    assert third["deep"].tolist() == [0, 1, 2]
    assert objects.tolist() == [None, 1]
    assert text == "text"


def test_an_array_alone_is_what_it_was_then_in_its_own_layout() -> None:
    array = np.arange(12.0).reshape(3, 4).T
    pile = Encoder().pile()
    pile.add(array)
    array[:] = 0

    (got,) = Decoder().decode(pile.packet())

    assert got.tolist() == np.arange(12.0).reshape(3, 4).T.tolist()
    assert got.flags.f_contiguous
    assert not got.flags.writeable


def test_a_bad_object_behind_an_array_leaves_the_array() -> None:
    pile = Encoder().pile()
    pile.add(np.arange(3))

    with pytest.raises(ItemNotSerializable):
        pile.add(threading.Lock())
    (got,) = Decoder().decode(pile.packet())

    assert got.tolist() == [0, 1, 2]


class Broken:
    def __reduce__(self) -> Any:
        return int, ("not a number",)


def test_the_one_that_cannot_be_loaded_is_named() -> None:
    pile = Encoder().pile()
    for payload in ("a", Broken(), "c"):
        pile.add(payload)

    with pytest.raises(ItemNotLoadable) as refused:
        Decoder().decode(pile.packet())

    assert refused.value.index == 1


def test_private_arrays_of_a_pile_may_be_written() -> None:
    pile = Encoder().pile()
    pile.add(np.arange(4))

    (array,) = Decoder().decode(pile.packet(), private=True)
    array[0] = 9

    assert array.tolist() == [9, 1, 2, 3]


def test_many_arrays_and_nothing_else_come_back() -> None:
    pile = Encoder().pile()
    for number in range(5):
        pile.add(np.full(number, number))

    arrays = Decoder().decode(pile.packet())

    assert [array.tolist() for array in arrays] == [[n] * n for n in range(5)]


def test_an_array_whose_type_cannot_be_pickled_leaves_the_pile_as_it_was() -> None:
    odd = np.dtype("f8", metadata={"why": lambda: 1})
    pile = Encoder().pile()
    pile.add(np.ones(2))

    with pytest.raises(ItemNotSerializable, match="pickle"):
        pile.add(np.ones(3, odd))

    (found,) = Decoder().decode(pile.packet())
    assert found.tolist() == [1.0, 1.0]
