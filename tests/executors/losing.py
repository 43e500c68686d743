"""The command ``pipeflow`` over transports that lose one frame; for workers that are forked.

The frame is lost before it is numbered: a number that is missing is an error of the transport, and
another test's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeflow.__main__ import main
from pipeflow.transports.base import Packet
from pipeflow.transports.pipe import PipeSender
from pipeflow.transports.queue import QueueSender

#: Which frame of channel 0.
LOST = 3


def losing(send: Callable[..., None]) -> Callable[..., None]:
    """``Sender.send`` of a channel that forgets one frame without a word."""
    frames = 0

    def send_most(self: Any, meta: bytes, packet: Packet, credits: int) -> None:
        nonlocal frames
        if self._spec.number == 0:
            frames += 1
        if self._spec.number or frames != LOST:
            send(self, meta, packet, credits)

    return send_most


if __name__ == "__main__":
    for sender in (PipeSender, QueueSender):
        sender.send = losing(sender.send)  # type: ignore[method-assign]
    main()
