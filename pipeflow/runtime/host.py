"""One process for several workers: a fused chain of stages, each with its own loop and its books.

    ══> double ──row──> add ──row──> text ══>        one thread, one loop at a time

Whoever lies furthest downstream and can do something has the turn, so what comes in goes all the
way before more is taken. Between the loops a frame is put into a row in memory (``InlineChannel``);
all else, order, ledger, reports, is as in processes of their own.

No deadlock: a loop that waits for room waits for another process only, so it is the last of the
chain (who feeds another in here has no other reader), and before it does all others have sent what
they hold.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Generator, Sequence
from typing import Final

from pipeflow.runtime.board import BUSY_NS, HAND_DEPTH, Board, Layout
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.flow.refused import ReadersGone
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.loading import load_stage, make_context, shares_of, start_failure
from pipeflow.runtime.loops.base import WAITS, StageLoop
from pipeflow.runtime.messages import EXIT_FAILED, Failed, Failure, Ready
from pipeflow.runtime.process import Process
from pipeflow.runtime.waits.polls import TIDY_S
from pipeflow.runtime.worker import (
    Reports,
    as_victim,
    exit_status,
    finished,
    loop_of,
    map_board,
    told_failure,
)
from pipeflow.stages.context import StageContext, enter
from pipeflow.transports.inline import InlineChannel
from pipeflow.values import dataclass, replace

#: A loop has its turn only if all behind it wait, so what lies between two is one frame's worth.
_NO_LIMIT: Final = 2**60


@dataclass(slots=True, kw_only=True)
class _Member:
    """One of the workers.

    Attributes:
        brief: What it was told.
        context: What its code may ask.
        reports: Its pipe to the supervisor.
        process: Its ends, and its waits.
        loop: Its loop.
        steps: The loop, going on.
        outlets: The channels to the next member.
        goes_on: It has more to do without anything new.
        done: It has ended.
    """

    brief: WorkerBrief
    context: StageContext
    reports: Reports
    process: Process
    loop: StageLoop
    steps: Generator[bool, None, None]
    outlets: list[InlineChannel]
    goes_on: bool = True
    done: bool = False

    def can_go_on(self) -> bool:
        """Whether a turn of it would do anything."""
        inbox = self.loop.inbox
        came = inbox is not None and inbox.arrivals.ready()
        return not self.done and (self.goes_on or came or self.readers_left())

    def readers_left(self) -> bool:
        """Whether the next member needs no more."""
        return any(not channel.readers_open for channel in self.outlets)


def run_workers(
    briefs: Sequence[WorkerBrief], channels: tuple[ChannelPlan, ...], layout: Layout
) -> int:
    """Be several workers, writers before readers, from their briefs to their end.

    Args:
        briefs: What each is told.
        channels: All channels of their plan.
        layout: Of the board.

    Returns:
        The exit status of the process.
    """
    reports = [Reports(brief.report_fd, brief.log_level) for brief in briefs]
    members: list[_Member] = []
    plan = briefs[0].plan
    board = Board(plan, channels, map_board(briefs[0].board_fd), layout)
    links = _links(briefs, channels, board)
    shares = shares_of(briefs)
    for brief, report in zip(briefs, reports, strict=True):
        worker = plan.workers[brief.worker]
        stage = plan.stages[worker.stage]
        context = make_context(brief, stage, board, report.log)
        _turn_to(context, brief.print_fd)
        try:
            work = load_stage(stage, plan, context, board.worker(brief.worker), shares)
        except BaseException as error:  # the user's module or constructor: a boundary
            failure = start_failure(error, board.worker(brief.worker))
            _fail(reports, brief.worker, briefs, failure)
            return EXIT_FAILED
        # Each closes its own hold of the memory.
        arena = replace(brief.arena, fd=os.dup(brief.arena.fd)) if members else brief.arena
        process = Process(replace(brief, arena=arena), board, channels, links)
        loop = loop_of(work, process, context, report, brief, board)
        members.append(
            _Member(
                brief=brief,
                context=context,
                reports=report,
                process=process,
                loop=loop,
                steps=loop.steps(),
                outlets=[
                    links[channel.spec.number]
                    for channel in channels
                    if channel.spec.number in links and brief.worker in channel.writers
                ],
            )
        )
    for report in reports:
        report.tell(Ready())
    return _Host(members).run()


def _links(
    briefs: Sequence[WorkerBrief], channels: tuple[ChannelPlan, ...], board: Board
) -> dict[int, InlineChannel]:
    """The channels between these workers, by their numbers."""
    inside = {brief.worker for brief in briefs}
    return {
        channel.spec.number: InlineChannel(
            replace(channel.spec, capacity=_NO_LIMIT, capacity_bytes=_NO_LIMIT),
            board.channel(channel.spec.number),
            hands_over=True,
        )
        for channel in channels
        if briefs[0].plan.edges[channel.edge].fused and inside.issuperset(channel.writers)
    }


class _Host:
    """The turns of the members.

    Args:
        members: Writers before readers.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members
        for member in members:
            member.process.waits.before_room = self._flush_all

    def run(self) -> int:
        """Give turns until all have ended or one has failed."""
        member = self._members[0]
        try:
            for member in self._members:
                member.process.begin()
                member.process.waits.pause()
            while not all(each.done for each in self._members):
                member = self._next() or self._await_input()
                self._give(member)
        except BaseException as error:  # whatever ends a worker is reported: a boundary
            return self._failed(member, error)
        finally:
            for each in self._members:
                each.process.close()
        return 0

    def _next(self) -> _Member | None:
        """Who can do something and lies furthest downstream."""
        return next((each for each in reversed(self._members) if each.can_go_on()), None)

    def _give(self, member: _Member) -> None:
        """One turn: until the member waits, gives way or ends."""
        _turn_to(member.context, member.brief.print_fd)
        member.process.waits.resume()
        member.goes_on = False
        row = member.loop.row
        try:
            if member.readers_left():
                gone = [channel for channel in member.outlets if not channel.readers_open]
                member.outlets = [each for each in member.outlets if each not in gone]
                member.loop.outbox.lose([end for channel in gone for end in channel.senders])
            step = next(member.steps, None)
        except ReadersGone:
            member.loop.leave()
            step = None
        if step is None:
            self._end(member)
        else:
            member.goes_on = step is not WAITS
            member.process.waits.pause()
        row[HAND_DEPTH] = 0

    def _end(self, member: _Member) -> None:
        """A member has done all it had to."""
        member.steps.close()
        member.loop.wind_up()
        self._flush_all()
        member.process.end()
        # By turns one of them is busy, so what each was busy for is what it used.
        busy_s = member.loop.row[BUSY_NS] / 1e9
        member.reports.tell(finished(member.context, busy_s))
        member.done = True

    def _await_input(self) -> _Member:
        """Wait until something comes, or a reader in another process is gone; who is to hear it."""
        poll, first = select.poll(), self._members[0]
        whose: dict[int, _Member] = {}
        assert first.loop.inbox is not None
        for member in self._members:
            for fd in [] if member.done else member.loop.outbox.watched():
                poll.register(fd, 0)
                whose[fd] = member
        for fd in [] if first.done else first.loop.inbox.arrivals.descriptors():
            poll.register(fd, select.POLLIN)
        while not (ready := poll.poll(TIDY_S * 1000)):
            for member in self._members:
                if not member.done:
                    member.process.waits.tidy()
        for fd, _ in ready:
            if fd in whose:
                return self._lose_reader(whose[fd], fd)
        return first

    def _lose_reader(self, member: _Member, fd: int) -> _Member:
        try:
            member.loop.outbox.check_readers(frozenset({fd}))
        except ReadersGone:
            member.loop.leave()
            member.steps.close()  # its next step is its end
        return member

    def _flush_all(self) -> None:
        for member in self._members:
            if not member.done and not member.loop.outbox.lock.locked():
                member.loop.outbox.flush_quietly()

    def _failed(self, member: _Member, error: BaseException) -> int:
        """A member has failed: the others are its victims."""
        alive = [each for each in self._members if not each.done]
        _fail(
            [each.reports for each in alive],
            member.brief.worker,
            [each.brief for each in alive],
            told_failure(error, member.brief.plan),
        )
        for each in alive:
            _turn_to(each.context, each.brief.print_fd)
            each.loop.abandon()
        return exit_status(error)


def _fail(
    reports: Sequence[Reports], worker: int, briefs: Sequence[WorkerBrief], failure: Failure
) -> None:
    """Tell of a failure: as its own by the worker that failed, as victims by the others."""
    for report, brief in zip(reports, briefs, strict=True):
        told = failure if brief.worker == worker else as_victim(failure)
        report.tell(Failed(told))


def _turn_to(context: StageContext, print_fd: int) -> None:
    """Whose code runs now, and where it prints."""
    enter(context)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(print_fd, number)
