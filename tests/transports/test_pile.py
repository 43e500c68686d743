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
