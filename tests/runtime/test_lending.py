"""Descriptors get the numbers that they have in the supervisor, whatever lies there already."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeflow.runtime.launch import lending


class Opened:
    """Opens descriptors that can be told apart, and closes what is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: set[int] = set()

    def __call__(self, text: str) -> int:
        (self.folder / text).write_text(text, encoding="utf-8")
        number = os.open(self.folder / text, os.O_RDONLY)
        self.numbers.add(number)
        return number

    def content(self, number: int) -> str:
        self.numbers.add(number)
        return os.pread(number, 100, 0).decode()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    for number in made.numbers:
        try:
            os.close(number)
        except OSError:
            continue  # it was moved


def test_descriptors_change_places_in_a_circle(opened: Opened) -> None:
    a, b, c = opened("a"), opened("b"), opened("c")

    own = lending.settle({b: a, c: b, a: c}, [])

    assert [opened.content(number) for number in (b, c, a)] == ["a", "b", "c"]
    assert own == []


def test_our_own_descriptors_make_way(opened: Opened) -> None:
    ours, other, arrived = opened("ours"), opened("other"), opened("arrived")

    own = lending.settle({ours: arrived}, [ours, other])

    assert opened.content(ours) == "arrived"
    assert opened.content(own[0]) == "ours"
    assert own[1] == other
    assert not os.get_inheritable(ours)


def test_a_descriptor_that_came_to_its_own_number_stays(opened: Opened) -> None:
    a = opened("a")

    assert lending.settle({a: a}, []) == []
    assert opened.content(a) == "a"


def test_descriptors_travel_beside_the_bytes(opened: Opened) -> None:
    left, right = socket.socketpair()
    with left, right:
        lending.send(left, b"two of them", [opened("a"), opened("b")])
        lending.send(left, b"", [])
        data, numbers = lending.receive(right.fileno(), 100)
        left.close()
        end = lending.receive(right.fileno(), 100)

    assert data == b"two of them"
    assert [opened.content(number) for number in numbers] == ["a", "b"]
    assert not any(os.get_inheritable(number) for number in numbers)
    assert end == (b"", [])


def test_an_end_that_closes_over_unread_replies_is_closed_and_no_error() -> None:
    left, right = socket.socketpair()
    with right:
        right.sendall(b"a reply that nobody reads")
        left.close()

        assert lending.receive(right.fileno(), 100) == (b"", [])
