"""Finds a circle of waits among the workers of a run, from what each has put on the board. Pure.

A worker in its user's code, a source in its generator, a program or a timer may wake the others, so
only when every live worker waits for an edge, and none has turned since the last look, nothing can
happen any more. Then following each wait to the workers it depends on must run into a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from pipeflow.values import dataclass


class Wait(Enum):
    """What a worker does, as far as waiting goes."""

    NOT = "not"  #: busy, starting or done
    ITEMS = "items"  #: for items on an edge it reads
    ROOM = "room"  #: for room on an edge it writes
    LOCK = "lock"  #: for the lock of shared state


@dataclass(frozen=True, slots=True)
class Look:
    """One live worker at one moment.

    Attributes:
        wait: What it waits for.
        edge: Number of the edge, or lock, it waits on; -1 for any of its inputs or outputs.
        turns: Counts each step it makes; the same number twice means nothing happened between.
    """

    wait: Wait
    edge: int
    turns: int


@dataclass(frozen=True, slots=True)
class Link:
    """An edge between workers, for following waits.

    Attributes:
        name: As people see it: ``a -> b``.
        writers: Numbers of its writing workers.
        readers: Numbers of its reading workers.
    """

    name: str
    writers: tuple[int, ...]
    readers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a piece of shared state.

    Attributes:
        name: Of the state.
        holder: Number of the worker that holds it; -1: nobody.
    """

    name: str
    holder: int


def find_circle(
    before: Mapping[int, Look],
    now: Mapping[int, Look],
    links: Sequence[Link],
    names: Mapping[int, str],
    locks: Sequence[Lock] = (),
) -> str:
    """Name the circle in which the live workers wait for each other; empty when there is none.

    Args:
        before: Worker number to what it did at the last look.
        now: The same, at this look; only workers whose process lives.
        links: The edges, by number.
        names: Worker number to its name: ``decode[1]``.
        locks: Those of shared state, by number.
    """
    if not now or not all(_stuck(before.get(worker), look) for worker, look in now.items()):
        return ""
    path: list[int] = [min(now)]
    while True:
        look = now[path[-1]]
        blockers = [worker for worker in _depends_on(path[-1], look, links, locks) if worker in now]
        if not blockers:
            words = say_wait(path[-1], look, links, names, locks)
            return words + ", and nobody is left to end the wait"
        if blockers[0] in path:
            circle = path[path.index(blockers[0]) :]
            waits = (say_wait(worker, now[worker], links, names, locks) for worker in circle)
            return "; ".join(waits)
        path.append(blockers[0])


def _stuck(before: Look | None, now: Look) -> bool:
    """Whether a worker waits and has done so without a turn since the last look."""
    return now.wait is not Wait.NOT and before == now


def _depends_on(
    worker: int, look: Look, links: Sequence[Link], locks: Sequence[Lock]
) -> tuple[int, ...]:
    """The workers that could end a wait."""
    if look.wait is Wait.LOCK:
        return (locks[look.edge].holder,)
    if look.wait is Wait.ROOM:
        own = links if look.edge < 0 else links[look.edge : look.edge + 1]
        return tuple(reader for link in own if worker in link.writers for reader in link.readers)
    if look.edge >= 0:
        return links[look.edge].writers
    return tuple(writer for link in links if worker in link.readers for writer in link.writers)


def say_wait(
    worker: int,
    look: Look,
    links: Sequence[Link],
    names: Mapping[int, str],
    locks: Sequence[Lock] = (),
) -> str:
    """One wait in words: ``b waits for items on edge a -> b``."""
    if look.wait is Wait.LOCK:
        lock = locks[look.edge]
        holder = f", which {names[lock.holder]} holds" if lock.holder in names else ""
        return f"{names[worker]} waits for the lock of shared '{lock.name}'{holder}"
    what = "room" if look.wait is Wait.ROOM else "items"
    several = "its outputs" if look.wait is Wait.ROOM else "its inputs"
    where = f"edge {links[look.edge].name}" if look.edge >= 0 else several
    return f"{names[worker]} waits for {what} on {where}"
