"""The small parts that the supervisor is made of: alarms, printed lines, signals."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.printed import LINE_BYTES, Lines
from pipeflow.runtime.watch.signals import watch_signals


def test_alarms_come_in_the_order_of_their_times_and_once() -> None:
    alarms = Alarms()
    alarms.set(Alarm.KILL, 3.0)
    alarms.set(Alarm.LINGER, 2.0, worker=4)
    alarms.set(Alarm.GRACE, 9.0)

    assert alarms.wait_s(0.5) == 1.5
    assert alarms.due(3.0) == [(Alarm.LINGER, 4), (Alarm.KILL, -1)]
    assert alarms.due(3.0) == []
    assert alarms.wait_s(10.0) == 0.0


def test_an_alarm_that_was_cleared_does_not_come() -> None:
    alarms = Alarms()
    alarms.set(Alarm.CUT, 1.0, worker=2)

    alarms.clear(Alarm.CUT, worker=2)

    assert not alarms.is_set(Alarm.CUT, 2)
    assert alarms.wait_s(0.0) is None


def test_lines_are_cut_at_their_ends_and_the_last_needs_none() -> None:
    lines = Lines()

    told = [*lines.feed(b"one\r\ntw"), *lines.feed(b"o\n\nthr"), *lines.feed(b"ee"), *lines.end()]

    assert told == ["one", "two", "", "three"]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert list(Lines().feed(b"a\xffb\n")) == ["a\N{REPLACEMENT CHARACTER}b"]


def test_a_line_without_an_end_is_cut_into_bounded_pieces() -> None:
    lines = Lines()

    told = [*lines.feed(b"x" * (2 * LINE_BYTES + 5)), *lines.end()]

    assert [len(text) for text in told] == [LINE_BYTES, LINE_BYTES, 5]


@given(st.lists(st.binary(max_size=30)))
def test_however_the_bytes_come_the_lines_are_the_same(chunks: list[bytes]) -> None:
    whole, pieces = Lines(), Lines()

    at_once = [*whole.feed(b"".join(chunks)), *whole.end()]
    bit_by_bit = [text for chunk in chunks for text in pieces.feed(chunk)]

    assert [*bit_by_bit, *pieces.end()] == at_once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_something_to_read_and_the_handler_is_put_back(number: int) -> None:
    before = signal.getsignal(number)

    with watch_signals(wanted=True) as signals:
        os.kill(os.getpid(), number)
        select.select([signals.fd], [], [], 5)
        taken = signals.taken()

    assert taken == [number]
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_no_signal_is_watched() -> None:
    fds: list[int] = []

    def watch() -> None:
        with watch_signals(wanted=True) as signals:
            fds.append(signals.fd)

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()

    assert fds == [-1]
