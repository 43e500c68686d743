from __future__ import annotations

import threading
from collections.abc import Callable

from pipeflow.runtime.flow.threads import Linger


class Outbox:
    def __init__(self, *, busy: bool = False) -> None:
        self.busy = busy
        self.wake: Callable[[], None] = lambda: None
        self.flushed = threading.Event()

    def watched(self) -> list[int]:
        return [1]

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


def test_it_ends_at_once_whatever_it_is_doing() -> None:
    # A wake-up that it clears may be the one that tells it to end: this once hung workers.
    for _ in range(300):
        outbox = Outbox()
        linger = Linger(outbox)  # type: ignore[arg-type]  # only what it uses
        linger.start()
        outbox.wake()
        linger.stop()


def test_ending_twice_is_harmless() -> None:
    linger = Linger(Outbox())  # type: ignore[arg-type]  # only what it uses
    linger.start()

    linger.stop()
    linger.stop()
