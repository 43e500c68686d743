"""The manager of shared dicts and lists, and the ways to it; in threads of one process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeflow.errors import PeerLost
from pipeflow.runtime.shared.client import ManagerLink
from pipeflow.runtime.shared.manager import Manager
from pipeflow.runtime.shared.wire import Frames, pack, pack_error
from pipeflow.spec.shared import SharedKind
from pipeflow.stages.shared_store import Store

DEADLINE_S = 20.0


@contextmanager
def managed() -> Iterator[int]:
    """A manager of a dict and a list; gives the door. It must end when all is closed."""
    ours, theirs = socket.socketpair()
    store = Store((SharedKind.DICT, SharedKind.LIST))
    thread = threading.Thread(target=Manager(theirs, store).serve, daemon=True)
    thread.start()
    with theirs:
        with ours:
            yield ours.fileno()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def enter(door: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(fileno=os.dup(door)) as end:
        socket.send_fds(end, [b"\0"], [theirs.fileno()])
    return ours


@contextmanager
def linked(door: int) -> Iterator[ManagerLink]:
    link = ManagerLink(door)
    yield link
    link.close()


def test_what_one_puts_in_another_reads_however_long_it_is() -> None:
    with managed() as door, linked(door) as one, linked(door) as other:
        one(0, "set", ("key", b"x" * 5_000_000))
        one(1, "append", (b"first",))

        assert other(0, "get", ("key",)) == b"x" * 5_000_000
        assert other(1, "values", ()) == [b"first"]


def test_errors_are_those_of_a_dict_and_the_next_question_is_answered() -> None:
    with managed() as door, linked(door) as link:
        with pytest.raises(KeyError, match="nothing"):
            link(0, "get", ("nothing",))
        with pytest.raises(IndexError):
            link(1, "pop", ())

        assert link(0, "count", ()) == 0


def test_who_goes_away_in_the_middle_of_a_question_disturbs_nobody() -> None:
    with managed() as door, linked(door) as link:
        gone = enter(door)
        gone.sendall(pack((0, "set", ("half", b"x")))[:-3])
        gone.close()

        link(0, "set", ("whole", b"y"))

        assert link(0, "keys", ()) == ["whole"]


def test_who_does_not_read_its_answers_holds_up_nobody() -> None:
    with managed() as door, linked(door) as link, enter(door) as slow:
        link(0, "set", ("long", b"x" * 3_000_000))
        slow.sendall(pack((0, "get", ("long",))) * 3)

        assert link(0, "count", ()) == 1

        frames, answers = Frames(), 0
        slow.settimeout(DEADLINE_S)
        while answers < 3:
            frames.feed(slow.recv(1 << 16))
            while frames.next() is not None:
                answers += 1


def test_without_its_manager_a_way_says_so() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()

    with ours, pytest.raises(PeerLost, match="shared dicts and lists is gone"):
        ManagerLink(ours.fileno())(0, "count", ())


def test_an_error_that_cannot_travel_goes_as_text() -> None:
    class Odd(Exception):
        pass

    frames = Frames()
    frames.feed(pack_error(Odd("at home only")))

    body = frames.next()
    assert body is not None
    assert b"Odd: at home only" in body
