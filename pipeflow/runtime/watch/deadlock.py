"""Finds a circle of waits among the workers of a run, from what each has put on the board. Pure.

A worker in its user's code, a source in its generator, a program or a timer may wake the others, so
only when every live worker waits for an edge, and none has turned for some looks, nothing can
happen any more. Then following each wait to the workers it depends on must run into a circle.

On the board a worker waits until it runs again. One whose items have come, but that gets no
processor or was stopped, seems to wait as well: only who was also found asleep has looked, and has
found nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

from pipeflow.values import dataclass

#: So many looks must be the same before a circle is believed.
SAME_LOOKS: Final = 12
#: So often each worker must have been found asleep meanwhile: once may be a sleep that began
#: before, from which a worker that looks around by the clock has not come back yet.
NAPS: Final = 2


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


class Stillness:
    """Whether all have waited for so long that it is believed, look by look."""

    def __init__(self) -> None:
        self._seen: Mapping[int, Look] = {}
        self._looks = 0
        self._naps: Counter[int] = Counter()

    def lasts(self, now: Mapping[int, Look], is_asleep: Callable[[int], bool]) -> bool:
        """Whether it does, from one more look.

        Args:
            now: Worker number to what it does; only workers whose process lives.
            is_asleep: Whether the process of a worker sleeps; asked after the look.
        """
        if now != self._seen or not all_wait(now):
            self._seen, self._looks = now, 0
            self._naps.clear()
            return False
        self._looks += 1
        self._naps.update(filter(is_asleep, now))
        return self._looks >= SAME_LOOKS and all(self._naps[worker] >= NAPS for worker in now)


def all_wait(now: Mapping[int, Look]) -> bool:
    """Whether there are workers, and each waits."""
    return bool(now) and all(look.wait is not Wait.NOT for look in now.values())


def find_circle(
    now: Mapping[int, Look],
    links: Sequence[Link],
    names: Mapping[int, str],
    locks: Sequence[Lock] = (),
) -> str:
    """Name the circle in which the live workers wait for each other; empty when there is none.

    Args:
        now: Worker number to what it has done for some looks; only workers whose process lives.
        links: The edges, by number.
        names: Worker number to its name: ``decode[1]``.
        locks: Those of shared state, by number.
    """
    if not all_wait(now):
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
