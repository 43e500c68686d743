"""The runner: a process that runs the user's code for the worker that keeps its edges.

It is a fork of the keeper, made while that has one thread and has run no code of the user's. It
runs the loop that the stage has anyway, which reads ``runner_inbox`` and writes ``runner_outbox``.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pipeflow.errors import ChannelError
from pipeflow.planner.plan import Join, Plan, StagePlan
from pipeflow.runtime.at_work import others_at_work
from pipeflow.runtime.board import Board
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.flow.assemble import join_key, keys_of_results
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.isolation.ahead import Ahead
from pipeflow.runtime.isolation.keys import told_key
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.messages import Broken, Loaded, Over
from pipeflow.runtime.isolation.opening import Frames
from pipeflow.runtime.isolation.row_loop import RowLoop, RowTryLoop
from pipeflow.runtime.isolation.runner_inbox import RunnerInbox
from pipeflow.runtime.isolation.runner_outbox import RunnerOutbox
from pipeflow.runtime.last_words import leave_last_words
from pipeflow.runtime.launch import ties
from pipeflow.runtime.launch.boot import finish_process, print_last_words
from pipeflow.runtime.loading import load_stage, make_context, shares_of, start_failure
from pipeflow.runtime.loops.base import WAITS, StageLoop
from pipeflow.runtime.loops.calls import CallLoop
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.starving import starved
from pipeflow.runtime.loops.stopped import failure_of
from pipeflow.runtime.loops.tries import TryLoop
from pipeflow.runtime.messages import EXIT_FAILED
from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.work import Work
from pipeflow.telemetry.masking import masker
from pipeflow.transports.allocator import keep_freed_memory
from pipeflow.transports.codec import Decoder
from pipeflow.transports.shm import Arena
from pipeflow.transports.waiting import Poll
from pipeflow.values import dataclass, replace

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events

#: How long a wait before another try lasts at most before it looks around, in milliseconds.
_LOOK_MS: Final = 100
#: Loops that answer item by item, and what they are where rows of items come.
_IN_ROWS: Final[Mapping[type, type[RowLoop]]] = {CallLoop: RowLoop, TryLoop: RowTryLoop}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a keeper tells its runner.

    Attributes:
        brief: The worker's.
        board: The board.
        link: Between the two.
        successor: Another runner was there before it.
    """

    brief: WorkerBrief
    board: Board
    link: Link
    successor: bool


def become_runner(task: Task, keeper: int) -> NoReturn:
    """Turn this freshly forked process into the runner; never returns to the keeper's code."""
    status = 1
    try:
        _leave_keeper(task, keeper)
        status = _run(task)
        finish_process()
    except BaseException:  # the boundary of the process: nothing may reach the keeper
        print_last_words()
    finally:
        os._exit(status)


def _leave_keeper(task: Task, keeper: int) -> None:
    brief, link = task.brief, task.link
    gc.freeze()  # what is the keeper's stays untouched, and so shared
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not ties.die_with_parent(keeper):
        os._exit(1)
    kept = [*link.runner_fds, brief.board_fd, brief.arena.fd, brief.words_fd, brief.stdout_fd]
    if brief.shared is not None:
        kept += [brief.shared.memory, brief.shared.locks, brief.shared.door]
    # An end of the keeper's that stays open here hides from its neighbours that it is gone.
    ties.close_all_but([fd for fd in kept if fd >= 0])
    leave_last_words(brief.words_fd, brief.plan.code_pool(brief.worker))


def _run(task: Task) -> int:
    """Load the stage, run its loop to its end, and tell what came of it."""
    brief, board, link = task.brief, task.board, task.link
    stage = brief.plan.stages[brief.plan.workers[brief.worker].stage]
    share = Arena.attach(brief.arena, brief.plan.code_pool(brief.worker))
    if task.successor:
        share.pool.adopt()
    share.pool.claims.others_at_work = others_at_work(
        brief.plan, board, brief.worker, share.is_pinched
    )
    context = make_context(brief, stage, board, lambda level, text: outbox.log(level, text))
    outbox = RunnerOutbox(
        link,
        read=stage.edges_out,
        keys=keys_of_results(brief.plan, stage),
        context=context,
        pool=share.pool,
        log_level=brief.log_level,
        ahead=Ahead.of(
            brief.plan.edges[number] for numbers in stage.edges_out.values() for number in numbers
        ),
    )
    enter(context)
    # How far it has come is for all to see the first time; later the worker is at work meanwhile.
    row = link.row if task.successor else board.worker(brief.worker)
    try:
        work = load_stage(stage, brief.plan, context, row, shares_of((brief,)))
        _check(work)
    except BaseException as error:  # the user's module or constructor: a boundary
        outbox.put(Broken(start_failure(error, row)))
        return EXIT_FAILED
    if "numpy" in sys.modules:
        keep_freed_memory()
    inbox = RunnerInbox(
        link,
        Frames(link, Decoder(share.views), shares=stage.join is Join.LATEST),
        Decoder(share.views),
        outbox,
        share.pool,
    )
    loop = _loop_of(work, stage, task, context, inbox, outbox)
    context.empty = share.pool.empty
    ends = work.finish is not None or work.close is not None
    path = tuple(each for each in dict.fromkeys(sys.path) if isinstance(each, str))
    outbox.put(Loaded(work.keeps_state, ends, path, work.awaits))
    return _drive(loop, inbox, outbox, brief.plan)


def _check(work: Work) -> None:
    """See that what was loaded has single items.

    Raises:
        TypeError: It takes the whole stream.
    """
    if work.stream is not None:
        raise TypeError(
            "a stream function is not called with single items: it knows no `timeout`, and no"
            " `on_error` but stop"
        )


def _loop_of(
    work: Work,
    stage: StagePlan,
    task: Task,
    context: StageContext,
    inbox: RunnerInbox,
    outbox: RunnerOutbox,
) -> StageLoop:
    """The stage's ordinary loop, over what speaks to the keeper."""
    brief, plan, link = task.brief, task.brief.plan, task.link
    mates = [each.index for each in plan.workers_of(stage.index)]
    waits = RunnerWaits(link, outbox.flush, task.board.stopping())
    inbox.poll = waits.poll
    settings: dict[str, Any] = {
        # What is done is told in the order of the items: so the keeper knows what is not.
        "stage": replace(stage, in_order=True),
        "replica": context.replica,
        "names": plan.stage_names,
        "inbox": inbox,
        "outbox": outbox,
        "row": link.row,
        "tell": outbox.tell,
        "waits": waits,
        "stopping": task.board.stopping(),
        # Its own row is here; those of its mates are on the board.
        "mates": tuple(
            link.row if number == brief.worker else task.board.worker(number) for number in mates
        ),
        "mask": masker(plan.secrets),
        "tried": lambda: inbox.tried,
        "alone": lambda: inbox.alone,
    }
    loop = make_loop(work, starved=starved(plan, brief.worker, task.board), **settings)
    kind = _IN_ROWS.get(type(loop))
    if kind is not None and stage.join is Join.MERGE:
        inbox.in_rows = True
        loop = kind(
            work=work,
            link=link,
            put_quick=outbox.put_quick,
            put_nothing=outbox.put_nothing,
            **settings,
        )
    context.item_id = loop.item_in_hand
    if stage.join is Join.BY_KEY:
        picks = [join_key(plan, plan.edges[number]) for number in stage.edges_in]
        inbox.key_of = lambda port, item: told_key(picks[port], item, loop.told_before)
    return loop


def _drive(loop: StageLoop, inbox: RunnerInbox, outbox: RunnerOutbox, plan: Plan) -> int:
    """Run the loop to its end; returns the exit status."""
    try:
        for wants in loop.steps():
            outbox.flush()
            if wants is WAITS:
                inbox.await_orders(loop.patience_s())
        loop.wind_up()
        outbox.flush()
        outbox.put(Over(early=not inbox.ended))
    except BaseException as error:  # whatever ends a runner is reported: a boundary
        failure = failure_of(error, plan.stage_names, plan.stage_of_pool)
        if isinstance(error, ChannelError):  # the manager of what it shares is gone
            failure = replace(failure, victim=True)
        loop.abandon()
        outbox.flush()
        outbox.put(Broken(failure))
        return EXIT_FAILED
    return 0


class RunnerWaits:
    """How a runner's loop waits.

    Args:
        link: To the keeper.
        flush: Tells it all that was done.
        draining: Its first cell says that the run is being drained.
    """

    def __init__(self, link: Link, flush: Callable[[], None], draining: Sequence[int]) -> None:
        self._link, self._flush, self._draining = link, flush, draining
        self._events: Events | None = None

    def attend(self, events: Events) -> None:
        """From now on the tasks of an asyncio loop go on during every wait."""
        self._events = events

    def poll(self) -> Poll:
        """Something to wait on."""
        return select.poll() if self._events is None else self._events.poll()

    def for_tasks(self) -> None:
        """Wait until a task has something to tell, or a moment.

        Raises:
            ReadersGone: The keeper needs no more.
        """
        link = self._link
        self._flush()
        poll = self.poll()
        poll.register(link.runner_bell.fileno(), select.POLLIN)
        poll.poll(_LOOK_MS)
        link.runner_bell.clear()
        if link.cells[Cell.LEAVE]:
            raise ReadersGone

    def for_input(self, timeout_s: float | None) -> None:
        """The driver of the loop waits, not the loop."""
        raise AssertionError(timeout_s)

    def back_off(self, seconds: float) -> None:
        """Wait before an item is tried again; a drain ends it.

        Raises:
            ReadersGone: The keeper needs no more.
        """
        link, until = self._link, time.monotonic() + seconds
        self._flush()
        link.stop_clock()
        poll = select.poll()
        poll.register(link.runner_bell.fileno(), select.POLLIN)
        try:
            while not self._draining[0] and (left_s := until - time.monotonic()) > 0:
                poll.poll(min(left_s * 1000, _LOOK_MS))
                link.runner_bell.clear()
                if link.cells[Cell.LEAVE]:
                    raise ReadersGone
        finally:
            link.go_on_clock()
