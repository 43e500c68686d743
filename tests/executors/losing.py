"""The command ``pipeflow`` over transports that lose one frame; for workers that are forked.

The frame is lost before it is numbered: a number that is missing is an error of the transport, and
another test's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pipeflow.__main__ import main
from pipeflow.runtime.loops import stretch
from pipeflow.transports.pipe import PipeSender
from pipeflow.transports.queue import QueueSender

#: Which frame of channel 0.
LOST = 3


def losing(send: Callable[..., None], frames: Counter[int]) -> Callable[..., None]:
    """A way to send over a channel, which forgets one frame without a word.

    Args:
        send: The way.
        frames: How many came, whichever way, of each channel.
    """

    def send_most(self: Any, meta: bytes, *told: Any) -> None:
        frames[self._spec.number] += 1
        if self._spec.number or frames[0] != LOST:
            send(self, meta, *told)

    return send_most


if __name__ == "__main__":
    stretch.HOPS = 0  # what is compiled does not go by these methods
    came = Counter[int]()
    PipeSender.send_plain = losing(PipeSender.send_plain, came)  # type: ignore[method-assign]
    for sender in (PipeSender, QueueSender):
        sender.send = losing(sender.send, came)  # type: ignore[method-assign]
    main()
