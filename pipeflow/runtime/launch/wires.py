"""All that the processes of a run share: made before the start, owned by the supervisor.

    board, arena             memory that every worker maps
    channels                 each end inherited by its own workers only
    bells                    one a worker, one more for a worker that drops
    reports, prints          a pipe each for a worker; the supervisor reads
    last words               memory for the stacks of workers that a signal ends
    shared state             memory, a file of locks, a socket pair to the manager process
    life-line                a pipe that reads as ended when the supervisor is gone

After the start the supervisor closes its copies of all that the workers hold: while it has one, no
worker can see that a neighbour is gone.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
from collections.abc import Iterable, Sequence

from pipeflow.errors import MachineError
from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.runtime.board import Board, Words
from pipeflow.runtime.brief import SharedHandles, WorkerBrief
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.last_words import ROOM, LastWords
from pipeflow.runtime.machine import address_space
from pipeflow.spec.policies import Overflow
from pipeflow.spec.shared import names_of
from pipeflow.transports.bell import Bell
from pipeflow.transports.ends import Ends, create_ends
from pipeflow.transports.shm import Arena, PoolUsage

_WORD_BYTES = 8


class Wires:
    """Makes and owns the descriptors and the memory of one run.

    Args:
        plan: What will run.
        channels: Its channels.
        stdout_fd: Where ``print`` writes; -1 or a closed descriptor: nowhere.

    Raises:
        MachineError: The machine refuses; nothing is left open.
    """

    def __init__(self, plan: Plan, channels: Sequence[ChannelPlan], stdout_fd: int) -> None:
        self._plan = plan
        self._channels = tuple(channels)
        self._owned: list[int] = []  #: descriptors of ours, reading ends of the workers' pipes
        self._lent: list[int] = []  #: closed here once all workers have inherited them
        self._ends: dict[int, Ends] = {}  #: by number of the channel; none within a process
        self._bells: dict[int, Bell] = {}
        self._mail_bells: dict[int, Bell] = {}
        self._arena: Arena | None = None
        self._shared: SharedHandles | None = None
        self.manager_door = -1  #: the manager's end
        nothing: Words = memoryview(b"").cast("Q")
        #: Who holds which lock of shared state, and who waits for which; see ``shared.memory``.
        self.lock_words = (nothing, nothing)
        self.reports: dict[int, tuple[int, int]] = {}
        self.prints: dict[int, tuple[int, int]] = {}
        try:
            self._make(stdout_fd)
        except MachineError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise MachineError(
                f"the pipes and memory of the run cannot be made: {error.strerror}{_limit(error)}"
            ) from error

    def _make(self, stdout_fd: int) -> None:
        size = Board.size(self._plan, self._channels) * _WORD_BYTES
        self._board_fd = _memory("pipeflow-board", size)
        self._lent.append(self._board_fd)
        self.board = Board(
            self._plan,
            self._channels,
            memoryview(mmap.mmap(self._board_fd, size)).cast("Q"),
        )
        pools = len(self._plan.stage_of_pool)
        self._arena = Arena.create(pools, self._plan.memory, address_space=address_space())
        self._words_fd = _memory("pipeflow-words", pools * ROOM)
        self._owned.append(self._words_fd)
        self.last_words = LastWords(self._words_fd)
        self._lifeline, self._lifeline_end = os.pipe()
        self._lent.append(self._lifeline)
        self._owned.append(self._lifeline_end)
        self._stdout = _copy(stdout_fd)
        if self._stdout >= 0:
            self._lent.append(self._stdout)
        if self._plan.shared:
            self._make_shared()
        for worker in self._plan.workers:
            self._bells[worker.index] = Bell.create()
            if self._drops(self._plan.stages[worker.stage]):
                self._mail_bells[worker.index] = Bell.create()
            self.reports[worker.index] = self._pipe()
            self.prints[worker.index] = self._pipe()
        for number, channel in enumerate(self._channels):
            if not self._plan.edges[channel.edge].fused:
                self._ends[number] = create_ends(channel.spec)

    def _make_shared(self) -> None:
        from pipeflow.runtime.shared.memory import create, size_of  # few runs have any

        shared = self._plan.shared
        fd = _memory("pipeflow-shared", size_of(shared, len(self._plan.workers)))
        self._lent.append(fd)
        memory = create(fd, shared, len(self._plan.workers))
        self.lock_words = (memory.holders, memory.waits)
        locks = _memory("pipeflow-locks", len(shared))
        self._lent.append(locks)
        door = -1
        if self._plan.has_manager:
            ours, theirs = socket.socketpair()
            door, self.manager_door = ours.detach(), theirs.detach()
            self._lent += [door, self.manager_door]
        self._shared = SharedHandles(memory=fd, locks=locks, door=door)

    def descriptors(self) -> tuple[int, ...]:
        """All that any worker inherits."""
        bells = [*self._bells.values(), *self._mail_bells.values()]
        return (
            *self._lent,
            self._words_fd,
            *self._arena_fds(),
            *(fd for bell in bells for fd in bell.fds),
            *(fd for ends in self._ends.values() for fd in ends.fds),
        )

    def keep(self, worker: int) -> tuple[int, ...]:
        """Descriptors that the process of a worker keeps, for all that share it."""
        together = [each.index for each in self._plan.sharing(worker)]
        prints = [self.prints[each][1] for each in together] if len(together) > 1 else []
        kept = [fd for each in together for fd in self._keep(each)]
        return tuple(dict.fromkeys([*kept, *prints]))

    def _keep(self, worker: int) -> tuple[int, ...]:
        mine = [number for number, _ in self._mine(worker)]
        own = [fd for number in mine for fd in self._own_ends(number, worker)]
        bells = [fd for fds in self._rings(worker, self._bells).values() for fd in fds]
        mail = [fd for fds in self._rings(worker, self._mail_bells).values() for fd in fds]
        stdout = self._stdout_of(worker)
        shared = self._shared_of(worker)
        return (
            self._board_fd,
            self._words_fd,
            *self._arena_fds(),
            self._lifeline,
            self.reports[worker][1],
            *own,
            *bells,
            *mail,
            *([stdout] if stdout >= 0 else []),
            *([shared.memory, shared.locks] if shared else []),
            *([shared.door] if shared and shared.door >= 0 else []),
        )

    def brief(
        self, worker: int, *, seed: int, log_level: str, attempt: int, parent: int
    ) -> WorkerBrief:
        """What one worker is told; ``parent`` is the process on whose life its own hangs."""
        assert self._arena is not None
        return WorkerBrief(
            plan=self._plan,
            worker=worker,
            attempt=attempt,
            seed=seed,
            supervisor_pid=parent,
            board_fd=self._board_fd,
            arena=self._arena.handle,
            channels={
                number: self._ends[number]
                for number, _ in self._mine(worker)
                if number in self._ends
            },
            bells=self._rings(worker, self._bells),
            mail_bells=self._rings(worker, self._mail_bells),
            report_fd=self.reports[worker][1],
            words_fd=self._words_fd,
            lifeline_fd=self._lifeline,
            stdout_fd=self._stdout_of(worker),
            print_fd=self.prints[worker][1] if len(self._plan.sharing(worker)) > 1 else -1,
            shared=self._shared_of(worker),
            log_level=log_level,
        )

    def pools(self) -> tuple[PoolUsage, ...]:
        """What each pool has lent, by its number: see ``Plan.code_pool``."""
        assert self._arena is not None
        return self._arena.usage()

    def ring(self, worker: int) -> None:
        """Wake a worker that waits for room."""
        self._bells[worker].ring()

    def let_go(self) -> None:
        """Close our copies of all that the workers have inherited; the bells stay, to ring them."""
        for ends in self._ends.values():
            ends.close_all()
        self._ends = {}
        _close(self._lent)
        self._lent = []

    def close(self) -> None:
        """Close everything; twice is harmless. The board can still be read."""
        self.let_go()
        _close(self._owned)
        self._owned = []
        for bell in (*self._bells.values(), *self._mail_bells.values()):
            bell.close()
        if self._arena is not None:
            self._arena.close()

    def close_reading_end(self, fd: int) -> None:
        """A worker's pipe has been read to its end."""
        if fd in self._owned:
            self._owned.remove(fd)
            os.close(fd)

    def _pipe(self) -> tuple[int, int]:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._owned.append(reading)
        self._lent.append(writing)
        return reading, writing

    def _arena_fds(self) -> tuple[int, ...]:
        return self._arena.fds if self._arena is not None else ()

    def _drops(self, stage: StagePlan) -> bool:
        edges = (self._plan.edges[n] for numbers in stage.edges_out.values() for n in numbers)
        return any(edge.overflow is not Overflow.BLOCK for edge in edges)

    def _mine(self, worker: int) -> list[tuple[int, ChannelPlan]]:
        return [
            (number, channel)
            for number, channel in enumerate(self._channels)
            if worker in channel.writers or worker in channel.readers
        ]

    def _own_ends(self, number: int, worker: int) -> Iterable[int]:
        channel, ends = self._channels[number], self._ends.get(number)
        if ends is None:
            return
        if worker in channel.writers:
            yield from ends.for_writer(channel.writers.index(worker))
        if worker in channel.readers:
            yield from ends.for_reader(channel.readers.index(worker))

    def _rings(self, worker: int, bells: dict[int, Bell]) -> dict[int, tuple[int, ...]]:
        """Bells that a worker hears or rings: its own, and those of whom it reads from."""
        others = {
            writer
            for _, channel in self._mine(worker)
            if worker in channel.readers
            for writer in channel.writers
        }
        return {number: bells[number].fds for number in {worker, *others} if number in bells}

    def _shared_of(self, worker: int) -> SharedHandles | None:
        stage = self._plan.stages[self._plan.workers[worker].stage]
        return self._shared if names_of(stage.parameters) else None

    def _stdout_of(self, worker: int) -> int:
        """Operators may write to standard output (``print``, ``path: "-"``); user code may not."""
        stage = self._plan.stages[self._plan.workers[worker].stage]
        return self._stdout if stage.operator else -1


def _limit(error: OSError) -> str:
    """The limit that an error has met, in brackets, if there is one to be raised."""
    match error.errno:
        case errno.EMFILE | errno.ENFILE:
            return " (`ulimit -n` bounds the open files)"
        case errno.EFBIG:
            return " (`ulimit -f` bounds files, and shared memory counts as one: lift it)"
        case errno.ENOMEM:
            return " (`ulimit -v` bounds the address space of a process)"
        case _:
            return ""


def _memory(name: str, size: int) -> int:
    """A descriptor of so many zero bytes that processes can share; it has no name to be left."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - a name that lives one line
    os.truncate(fd, size)
    return fd


def _copy(fd: int) -> int:
    """A descriptor of the same file that is not one of the standard three; -1 if it is closed."""
    import fcntl

    if fd < 0:
        return -1
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return -1  # standard output is closed: print says so when it writes


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
