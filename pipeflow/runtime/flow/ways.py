"""The short ways of an outbox's ports: which port has which, and what is done with all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeflow.errors import PipeflowError
from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.express import Encoder, Express, Pause
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.targets import Target

if TYPE_CHECKING:
    from pipeflow.runtime.flow.scattering import Scattering


class Ways:
    """All of them. But for ``refuse`` its methods are called with the lock, or while it is made.

    Args:
        encoder: Pickles the items.
        words: The board's words.
        cells: The cell of each port that counts what it has emitted.
        lock: The outbox's.
        wait_for_room: Flushes everything, and waits until one of the targets may have room.
        reader_left: Raises if nobody needs the results any more.
        batch_items: Most items in one frame.
        wake: Lets the second thread know that something waits.

    Attributes:
        all: What has a run of its own: items wait there.
    """

    def __init__(
        self,
        *,
        encoder: Encoder,
        words: Words,
        cells: Callable[[str], int],
        lock: threading.Lock,
        wait_for_room: Callable[[Sequence[Target]], None],
        reader_left: Callable[[], None],
        batch_items: int,
        wake: Callable[[], None],
    ) -> None:
        self.all: list[Express] = []
        self._scatterings: list[Scattering] = []
        self._words, self._cells, self._wake = words, cells, wake
        self._settings: dict[str, Any] = {
            "encoder": encoder,
            "lock": lock,
            "wait_for_room": wait_for_room,
            "reader_left": reader_left,
            "batch_items": batch_items,
        }

    def open(self, port: OutPort) -> None:
        """Take the short way, where there is but one target for every item, or a rule for each."""
        target, replicas, keyed = port.only_target(), port.replicas(), port.keyed()
        if target is not None:
            port.express = Express(target, **self._settings_of(port))
        elif keyed is not None and keyed.pick_key is not None:
            self._open_scattering(port, keyed.targets, keyed.pick_key)
            return
        elif replicas:
            from pipeflow.runtime.flow.dealing import Dealing  # most stages have one reader

            onward = port.spreads[0].onward
            port.express = Dealing(replicas, onward=onward, **self._settings_of(port))
        if port.express is not None:
            port.express.wake = self._wake
            self.all.append(port.express)

    def _open_scattering(
        self, port: OutPort, targets: Sequence[Target], pick: Callable[[Any], int]
    ) -> None:
        """Take the short way by keys: what waits to be sent waits in its parts."""
        from pipeflow.runtime.flow.scattering import Scattering  # few stages have them

        port.express = scattering = Scattering(targets, pick=pick, **self._settings_of(port))
        self.all += scattering.parts
        self._scatterings.append(scattering)
        for way in (scattering, *scattering.parts):
            way.wake = self._wake

    def open_keeping(self, port: OutPort, send_batch: Callable[[Target], None]) -> None:
        """Take the short way for rows of units with one item each.

        Args:
            port: Whose.
            send_batch: Sends what waits on the longer way.
        """
        target = port.only_target()
        if target is None:
            return
        port.keeping = Keeping(
            target,
            send_batch=lambda: send_batch(target) if target.batch else None,
            **self._settings_of(port),
        )
        port.keeping.wake = self._wake
        self.all.append(port.keeping)

    def _settings_of(self, port: OutPort) -> dict[str, Any]:
        """What every express way of a port is made with."""
        return {**self._settings, "counter": (self._words, self._cells(port.name))}

    def refuse(self, error: PipeflowError) -> None:
        """Whoever comes next on any of them raises this."""
        for express in (*self.all, *self._scatterings):
            express.refused = error

    def note_woken(self, *, woken: bool) -> None:
        """Whether the second thread knows that something waits."""
        for express in self.all:
            express.woken[0] = woken

    def frames(self) -> int:
        """How many were sent."""
        return sum(express.frames for express in self.all)

    def may_keep(self, pause: Pause, flush_all_but: Callable[[Express], None]) -> None:
        """See ``Express.may_keep``.

        Args:
            pause: See there.
            flush_all_but: Sends all that waits anywhere else.
        """

        def pause_of(
            express: Express, targets: Sequence[Target], rests: Iterator[float], /
        ) -> None:
            flush_all_but(express)
            pause(targets, rests)

        for express in self.all:
            express.may_keep(partial(pause_of, express))

    def kept_for_s(self) -> float:
        """When to flush again what was kept back on any of them, in seconds; 0: nothing was."""
        return min([rest_s for way in self.all if (rest_s := way.kept_for_s())], default=0.0)

    def wind_up(self) -> None:
        """Nothing more comes: send what is kept back when its time has come; see ``Express``."""
        for express in self.waiting():
            try:
                express.wind_up()
            except ReadersGone:
                pass  # nobody needs it

    def waiting(self) -> list[Express]:
        """Those on which something waits."""
        return [express for express in self.all if express.waits()]
