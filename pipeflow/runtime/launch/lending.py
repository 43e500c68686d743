"""Descriptors that cross from the supervisor to a launch server that is running already.

The kernel gives those that arrive whatever numbers are free; here they get the numbers that they
have in the supervisor, by which the workers' briefs call them.
"""

from __future__ import annotations

import array
import os
import resource
import socket
from collections.abc import Mapping, Sequence
from typing import Final

#: Most descriptors in one message: the kernel takes 253.
MOST: Final = 250

_ROOM: Final = socket.CMSG_SPACE(MOST * array.array("i").itemsize)


def send(channel: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send bytes, with descriptors beside the first of them."""
    sent = socket.send_fds(channel, [data], descriptors) if descriptors else 0
    channel.sendall(data[sent:])


def receive(control: int, size: int) -> tuple[bytes, list[int]]:
    """What has come: bytes, and the descriptors beside them; no bytes: the other end is closed."""
    with socket.socket(fileno=os.dup(control)) as channel:
        try:
            data, beside, _, _ = channel.recvmsg(size, _ROOM)
        except ConnectionResetError:
            return b"", []  # it was closed before all that we had told was read
    numbers = array.array("i")
    for level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    for number in numbers:
        os.set_inheritable(number, False)
    return data, numbers.tolist()


def allow(limit: int) -> None:
    """Let this process, and its children, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def settle(wanted: Mapping[int, int], own: Sequence[int]) -> list[int]:
    """Move descriptors to the numbers that they shall have.

    Args:
        wanted: Number to the descriptor that shall bear it.
        own: Descriptors that make way, if need be.

    Returns:
        The numbers of ``own`` afterwards.
    """
    place = {number: number for number in (*wanted.values(), *own)}  #: where each one lies now
    for number, arrived in wanted.items():
        if place[arrived] == number:
            continue
        for other, lies in place.items():
            if lies == number:
                place[other] = os.dup(lies)
                break
        os.dup2(place[arrived], number, inheritable=False)
        os.close(place[arrived])
        place[arrived] = number
    return [place[each] for each in own]
