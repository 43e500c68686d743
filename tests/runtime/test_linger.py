from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pipeflow.errors import MachineError, PipeflowError, ProtocolError
from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.outbox import Outbox as RealOutbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.threads import Linger
from pipeflow.runtime.loops.rows import append_from
from pipeflow.transports.base import ChannelSpec, Kind
from pipeflow.transports.codec import Encoder
from pipeflow.transports.inline import InlineChannel


class Outbox:
    def __init__(self, *, busy: bool = False) -> None:
        self.busy = busy
        self.wake: Callable[[], None] = lambda: None
        self.flushed = threading.Event()

    def watched(self) -> list[int]:
        return [1]

    def kept_for_s(self) -> float:
        return 0.0

    def flush_old(self, *, patient: bool = False) -> bool:
        if self.busy and patient:
            return False
        self.flushed.set()
        return True


def test_what_a_burst_left_behind_is_sent() -> None:
    outbox = Outbox()
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()

    outbox.wake()

    assert outbox.flushed.wait(5)
    linger.stop()


def test_what_waits_is_sent_even_while_other_frames_are_sent_all_the_time() -> None:
    outbox = Outbox(busy=True)
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()

    outbox.wake()

    assert outbox.flushed.wait(5)
    linger.stop()


class Keeping(Outbox):
    """It keeps something back for a long time, and may call the second thread meanwhile."""

    def __init__(self, *, calls: bool) -> None:
        super().__init__()
        self.left, self.calls = 40, calls

    def kept_for_s(self) -> float:
        return 0.0001

    def flush_old(self, *, patient: bool = False) -> bool:
        self.left -= 1
        if self.left:
            if self.calls:
                self.wake()
            return False
        return super().flush_old(patient=patient)


@pytest.mark.parametrize("calls", [True, False])
def test_who_keeps_something_back_is_asked_again_until_it_has_left(calls: bool) -> None:
    outbox = Keeping(calls=calls)
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()

    outbox.wake()

    assert outbox.flushed.wait(5)
    linger.stop()


def test_it_ends_at_once_whatever_it_is_doing() -> None:
    # A wake-up that it clears may be the one that tells it to end: this once hung workers.
    for _ in range(300):
        outbox = Outbox()
        linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
        linger.start()
        outbox.wake()
        linger.stop()


class OnceInVain(Outbox):
    """At its first flush it finds that nobody reads the results any more."""

    refused: PipeflowError | None = None

    def flush_old(self, *, patient: bool = False) -> bool:
        if self.refused is None:
            raise ReadersGone("nobody needs them")
        return super().flush_old(patient=patient)

    def refuse(self, error: PipeflowError) -> None:
        self.refused = error
        self.wake()  # a letter came while the results were found to be in vain


def test_letters_that_came_meanwhile_are_sent_though_nobody_reads_the_results_any_more() -> None:
    outbox = OnceInVain()
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()

    outbox.wake()

    assert outbox.flushed.wait(5)
    linger.stop()


def threads_beside_this() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "pipeflow-linger"]


def test_there_is_no_second_thread_before_something_waits_nor_after_the_end() -> None:
    outbox = Outbox()
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()
    before = threads_beside_this()

    outbox.wake()
    then = threads_beside_this()
    linger.stop()
    outbox.wake()

    assert (before, then) == ([], ["pipeflow-linger"])
    assert threads_beside_this() == []


class Refused(Outbox):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[PipeflowError] = []

    def refuse(self, error: PipeflowError) -> None:
        self.refusals.append(error)


def test_where_the_system_has_no_thread_left_whoever_comes_next_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    outbox = Refused()
    linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
    linger.start()

    outbox.wake()
    outbox.wake()
    linger.stop()

    (error,) = outbox.refusals
    assert isinstance(error, MachineError)
    assert "can't start new thread" in str(error)


def test_ending_twice_is_harmless() -> None:
    linger = Linger(Outbox())  # type: ignore[arg-type]  # only what it uses
    linger.start()

    linger.stop()
    linger.stop()


def outbox_to(channel: InlineChannel) -> RealOutbox:
    words: Words = memoryview(bytearray(128)).cast("Q")
    target = Target([OutChannel(channel.senders[0], 0, words[:8])])
    return RealOutbox(
        {"out": OutPort("out", [Spread(Route.SINGLE, [target])], [])},
        numbering=Numbering.PER_PORT,
        encoder=Encoder(),
        wait_for_room=lambda _targets: None,
        counters=(words[8:], {"out": 0}),
    )


def test_a_source_whose_reader_left_is_asked_no_more_whoever_found_out() -> None:
    channel = InlineChannel(ChannelSpec(number=0, kind=Kind.PIPE, capacity=8))
    outbox = outbox_to(channel)
    express = outbox.express("out")
    assert express is not None
    items = iter(range(10))
    express.room((0,), 0)
    append_from(items, (0, 1, 2), express=express, asking=bytearray(1))
    channel.receivers[0].close()

    with pytest.raises(ReadersGone) as left:
        outbox.flush_old()
    outbox.refuse(left.value)
    got = append_from(items, (2, 1, 1), express=express, asking=bytearray(1))

    assert isinstance(got.error, ReadersGone)
    assert next(items) == 3  # one was asked for in between
    outbox.end()  # that nobody needs more is no failure


def test_what_the_second_thread_could_not_send_is_not_followed_by_an_end_of_input() -> None:
    channel = InlineChannel(ChannelSpec(number=0, kind=Kind.PIPE, capacity=8))
    outbox = outbox_to(channel)

    outbox.refuse(ProtocolError("all slots of shared memory are held"))

    with pytest.raises(ProtocolError, match="all slots"):
        outbox.end()
    assert not channel.frames
