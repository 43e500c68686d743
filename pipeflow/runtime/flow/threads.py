"""The threads beside a worker's own: one flushes what a burst left behind, one hands over mail."""

from __future__ import annotations

import select
import threading
from collections.abc import Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pipeflow.errors import MachineError, PipeflowError
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.placing import LINGER_S
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.transports.bell import Bell

if TYPE_CHECKING:
    from pipeflow.runtime.flow.mailbox import Mailbox

#: Seconds between the second thread's looks at what waits; after the last it sends in any case.
PATIENCE_S = (LINGER_S, LINGER_S, 2 * LINGER_S, 4 * LINGER_S)


class Linger:
    """The second thread: sends what a burst left behind, when the user's code takes its time.

    It is called while items flow, so it waits on a queue, which wakes it at a tenth of what an
    ``Event`` costs. Where items leave as they come nothing ever waits, and there is no such thread.

    Args:
        outbox: The worker's outputs.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        #: True: something waits; False: it is over.
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pipeflow-linger", daemon=True)

    def start(self) -> None:
        """Begin as soon as something waits, if there is anything to send to."""
        if self._outbox.watched():
            self._outbox.wake = self._first_call

    def is_me(self) -> bool:
        """Whether it is the second thread that asks."""
        return threading.current_thread() is self._thread

    def _first_call(self) -> None:
        """Something waits for the first time. With the outbox's lock."""
        self._outbox.wake = partial(self._calls.put, True)
        try:
            self._thread.start()
        except RuntimeError as error:  # what Python says of a limit of the system
            self._outbox.refuse(MachineError(f"a worker needs a second thread: {error}"))
        self._calls.put(True)

    def stop(self) -> None:
        """End, and wait for it."""
        self._outbox.wake = _nobody
        self._calls.put(False)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._serve():
                pass
        except PipeflowError as error:
            self._outbox.refuse(error)

    def _serve(self) -> bool:
        """Flush whenever it is called; whether it is over.

        That nobody reads the results any more is no end: letters have readers of their own.
        """
        try:
            while self._calls.get() and self._flush_in_time():
                pass
        except ReadersGone as error:
            self._outbox.refuse(error)
            return False
        return True

    def _flush_in_time(self) -> bool:
        """Flush after a millisecond, or a few more while the first thread sends all the time.

        Returns:
            Whether to go on.
        """
        for delay_s in PATIENCE_S:
            if self._is_over(delay_s):
                return False
            if self._outbox.flush_old(patient=True):
                return True
        while not self._outbox.flush_old():
            if self._is_over(self._outbox.kept_for_s()):
                return False
        return True

    def _is_over(self, delay_s: float) -> bool:
        """Wait so long at most; whether it is over."""
        try:
            return not self._calls.get(timeout=delay_s)
        except Empty:
            return False


def _nobody() -> None:
    """Who ends sends all that waits by himself."""


class Postman:
    """The thread that hands over what the readers of mailboxes ask for.

    Args:
        mailboxes: All mailboxes of the worker.
        bell: Rung by their readers.
    """

    def __init__(self, mailboxes: Sequence[Mailbox], bell: Bell) -> None:
        self._mailboxes = mailboxes
        self._bell = bell
        self._thread = threading.Thread(target=self._run, name="pipeflow-mail", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until the readers have asked for everything, or are gone."""
        for mailbox in self._mailboxes:
            mailbox.end()
        self._bell.ring()
        self._thread.join()

    def _run(self) -> None:
        waiting = list(self._mailboxes)
        while waiting:
            poll = select.poll()
            poll.register(self._bell.fileno(), select.POLLIN)
            fds = {fd for mailbox in waiting for fd in mailbox.filenos()}
            for fd in fds:
                poll.register(fd, 0)
            ready = {fd for fd, _ in poll.poll()}
            self._bell.clear()
            for mailbox in waiting:
                mailbox.lose_readers(frozenset(ready & fds))
            waiting = [mailbox for mailbox in waiting if not mailbox.finished()]
