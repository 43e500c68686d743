"""Keys that the runner works out for the join of its keeper."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest

from pipeflow.runtime.isolation.keys import KeyBook, KeyFailed, told_key
from pipeflow.runtime.isolation.messages import FrameKeys
from pipeflow.runtime.isolation.sealed import Sealed, SealedFrame
from pipeflow.runtime.messages import Failure
from pipeflow.transports.base import Packet

FAILED = Failure(phase="item", kind="KeyError", message="'user'")


class Colour(Enum):
    RED = 1
    BLUE = 2


class Level(IntEnum):
    LOW = 3


class Name(StrEnum):
    ANN = "ann"


@dataclass(frozen=True)
class Place:
    name: str
    colour: Colour


def told(key: Any) -> object:
    return told_key(lambda item: item, key, lambda error, _: pytest.fail(str(error)))


@pytest.mark.parametrize(
    ("key", "equal"),
    [
        (Level.LOW, 3),
        (Name.ANN, "ann"),
        ((Level.LOW, Name.ANN), (3, "ann")),
        (frozenset([Level.LOW]), frozenset([3])),
        (timedelta(seconds=60), timedelta(minutes=1)),
        (True, 1),
        (None, None),
    ],
    ids=str,
)
def test_a_key_that_equals_a_plain_one_is_told_as_that(key: Any, equal: Any) -> None:
    assert told(key) == equal
    assert type(told(key)).__module__ in {"builtins", "datetime"}


def test_keys_of_classes_of_the_users_are_told_without_them_and_equal_as_they_are() -> None:
    keys = [Colour.RED, Colour.BLUE, Place("a", Colour.RED), Place("a", Colour.BLUE), (Colour.RED,)]

    data = [pickle.dumps(told(key)) for key in keys]

    assert not any(__name__.encode() in each and b"GLOBAL" in each for each in data)
    assert len({pickle.loads(each) for each in data}) == len(keys)
    assert pickle.loads(data[2]) == told(Place("a", Colour.RED))
    assert told(Colour.RED) not in {1, "RED", ("RED",)}


@pytest.mark.parametrize("key", [[1], object()], ids=["unhashable", "never equal"])
def test_what_cannot_be_a_key_is_told_as_what_is_wrong_with_it(key: Any) -> None:
    assert told_key(lambda item: item, key, lambda error, _: FAILED) is FAILED


def test_the_keys_of_a_frame_are_asked_for_once_by_each_runner_until_they_are_told() -> None:
    frame = SealedFrame(7, Packet(b"", (), 2), ())
    items = [Sealed(frame, at) for at in range(2)]
    book = KeyBook()

    for at, item in enumerate(items):
        book.came(1, (0, at), item)

    assert (book.has_new(), book.known(items[0])) == (True, False)
    assert list(book.ask(again=False)) == [frame]
    assert (list(book.ask(again=False)), book.waits()) == ([], True)
    assert list(book.ask(again=True)) == [frame]
    assert (frame.port, frame.id_at(1), book.find(7, 1)) == (1, (0, 1), items[1])

    book.note(FrameKeys(7, ("a", FAILED)))

    assert (book.waits(), book.find(7, 1), book.key(items[0])) == (False, None, "a")
    with pytest.raises(KeyFailed) as raised:
        book.key(items[1])
    assert raised.value.failure is FAILED


def test_an_item_that_was_lost_has_failed_of_that_whatever_its_key() -> None:
    frame = SealedFrame(7, Packet(b"", (), 1), ())
    book = KeyBook()
    book.came(0, (0, 0), Sealed(frame, 0))
    book.ask(again=False)
    frame.lost[0] = FAILED

    book.note(FrameKeys(7, (0,)))

    with pytest.raises(KeyFailed):
        book.key(Sealed(frame, 0))
