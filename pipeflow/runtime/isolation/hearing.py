"""What the runner says is done by its worker: results sent, counts kept, orders let go of.

Until the runner has told that an order is done the docket has it. What it tells is done with the
worker's own outbox, in the order in which it is told.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, assert_never

from pipeflow.errors import ItemNotLoadable
from pipeflow.runtime.board import (
    DEAD_LETTERED,
    EMPTY,
    HAND_DEPTH,
    OVER,
    PROCESSED,
    RECEIVED,
    RETRIED,
    SKIPPED,
    put_hand,
)
from pipeflow.runtime.flow.joins import Call, Calls, Lone, UnitEnd, ends_around
from pipeflow.runtime.flow.refused import InputNotLoadable, ReadersGone
from pipeflow.runtime.isolation.around import Around
from pipeflow.runtime.isolation.child import Child
from pipeflow.runtime.isolation.docket import Docket
from pipeflow.runtime.isolation.keys import KeyBook
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    Act,
    Broken,
    Emitted,
    Ended,
    EndOrder,
    FrameKeys,
    Loaded,
    LoneFailed,
    Over,
    Quiet,
    Record,
    Results,
    Told,
    Unread,
    is_plain,
    is_quick,
    settled,
    unpack_quick,
    unpack_record,
)
from pipeflow.runtime.isolation.quick import append_results, together
from pipeflow.runtime.loops.base import StageLoop
from pipeflow.runtime.loops.stopped import StageStopped
from pipeflow.runtime.messages import (
    ItemGivenUp,
    RunnerReady,
    RunnerStarted,
)
from pipeflow.spec.ports import ERRORS, OUT, UNMATCHED
from pipeflow.transports.codec import half_opened, passed_on
from pipeflow.values import dataclass, field


@dataclass(slots=True, kw_only=True)
class HearingLoop(StageLoop):
    """What a keeper knows of its runner, by what that has told.

    Args:
        around: What the worker's process does for it.
        private: Arrays arrive as copies of its own.
        metrics: Where the stage's metrics are to be in the end.
        keys: Of a join's items that were not opened.
        opens: Results are needed themselves: who reads them is found by their keys.
    """

    around: Around
    private: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    keys: KeyBook = field(default_factory=KeyBook)
    opens: bool = False
    _child: Child | None = None
    _child_closed: bool = False
    _docket: Docket = field(default_factory=Docket)
    _end: EndOrder | None = None
    _settled: int = 0  # items that the runners are done with
    _retried: int = 0  # tries beside the first ones, of what was not in hand since
    _runner: int = 0  # its number
    _anew: bool = True  # it was given no pair yet
    _quiet: int = 0  # calls of this runner that gave nothing, and have no record
    _given: int = 0  # orders that this runner was given
    #: What must live until so many orders are done: arrays that were put into slots for them.
    _keep: deque[tuple[int, tuple[object, ...]]] = field(default_factory=deque)
    _loaded: Loaded | None = None
    _over: Over | None = None
    _deaths: int = 0
    _late: bool = False  # the runner was killed for the item in its hand
    _stack: str = ""  # where it was then
    _rest_until: float | None = None
    _leaving: bool = False
    _told_to_end: bool = False
    _sums: dict[str, float] = field(default_factory=dict)
    _metrics: dict[str, float] = field(default_factory=dict)

    def _begin(self) -> None:
        self._child = self.around.begin_runner()
        self._runner += 1
        self._anew = True
        self._quiet = 0
        self._settled = settled(tuple([self.row[cell] for cell in COUNTS]))
        self._retried = self.row[RETRIED]
        self.tell(RunnerStarted(self._child.pid))

    def _at_hand(self) -> Child:
        assert self._child is not None
        return self._child

    # ------------------------------------------------------------------- hearing

    def _hear(self) -> bool:
        """Do what the runner says that its loop has done; whether it said anything.

        Raises:
            StageStopped: It was ended by a failure.
            ReadersGone: Nobody needs its results any more.
        """
        quiet = self._at_hand().quiet()  # first: records that were told before it are there by now
        records = self._at_hand().hear()
        if not records and quiet == self._quiet:
            return False
        self._note_begun()
        gone: ReadersGone | None = None
        for told in together(records):
            try:
                if is_quick(told[0]):
                    self._note_quick(told)
                else:
                    self._note(unpack_record(told[0]))
            except ReadersGone as error:  # what else was said counts all the same
                gone = error
        self._note_quiet(quiet)
        self._at_hand().wake()
        if gone is not None:
            raise gone
        return True

    def _payloads_of(self, record: Results) -> Iterator[Any]:
        """The results that came with a record.

        One that cannot be loaded is its reader's to fail of; it goes there as it is.

        Raises:
            InputNotLoadable: It cannot: it has buffers beside it.
        """
        packet, decoder = record.packet, self.around.decoder()
        if packet is None:
            return iter(())
        if not self.opens and (found := half_opened(packet)) is not None:
            return iter(found)
        try:
            return iter(decoder.decode(packet))
        except ItemNotLoadable as error:
            if not packet.buffers:
                return iter(passed_on(packet, decoder.salvage(packet)))
            items = [act.id for act in record.acts if type(act) is Emitted]
            raise InputNotLoadable(items[error.index], error) from error

    def _note_quick(self, told: Sequence[bytes]) -> None:
        """These calls, of one item each, are done, and gave one result each.

        Raises:
            ReadersGone: Nobody needs the results any more; the calls count all the same.
        """
        results = [unpack_quick(data, opens=self.opens) for data in told]
        plain = all(map(is_plain, told))
        self._at_hand().confirm(len(told))
        self._deaths = 0
        gone: ReadersGone | None = None
        while results:
            task, first, count, over = self._docket.settle_row(len(results))
            self._settled += count
            self.row[PROCESSED] += count
            part, results = results[:count], results[count:]
            while part:
                try:
                    sent = 0
                    if plain and type(task) is Calls and not self._leaving:
                        sent = append_results(self.outbox, task, first, part, more=bool(results))
                    if not sent:
                        sent = 1
                        more = len(part) > 1 or bool(results)
                        self._send_quick(part[0], task, first, over=over, more=more)
                except ReadersGone as error:
                    self._leaving, gone, sent = True, error, 1
                finally:
                    self._at_hand().took(sent)
                part, first = part[sent:], first + sent
        if gone is not None:
            raise gone

    def _send_quick(
        self,
        result: Any,
        task: Call | Calls,
        at: int,
        *,
        over: tuple[int, int] | None,
        more: bool,
    ) -> None:
        """Send one result by itself: it waits for room, or nobody needs it any more."""
        call = task.single(at) if type(task) is Calls else task
        assert type(call) is Call
        item, lane, unit, outbox = call.id, call.lane, call.unit, self.outbox
        if type(task) is Calls and over is not None:
            over = max(over[0], task.begin_of(at)), task.begin_of(at + 1)
        if self._leaving:
            self._end_units([*ends_around(lane, unit, over)] if over is not None else [])
        elif over is not None:
            outbox.emit_whole(OUT, result, item, lane, unit, over=over, settled=True, more=more)
        else:
            outbox.emit(OUT, result, item, lane, unit, settled=True, more=more)

    def _note_quiet(self, total: int) -> None:
        """So many calls of this runner, of one item each, are done, and gave nothing."""
        new = total - self._quiet
        if new > 0:
            row = self.row
            self._quiet = total
            ended = self._docket.settle(new)
            self._settled += new
            self._deaths = 0
            row[PROCESSED] += new
            row[EMPTY] += new
            self._end_units(ended)

    def _end_units(self, ended: Sequence[UnitEnd]) -> None:
        """These units are complete; no order has told the runner of their end.

        Raises:
            ReadersGone: Nobody needs what the stage gives any more.
        """
        gone: ReadersGone | None = None
        for end in ended:
            try:
                self._end_unit(end)
            except ReadersGone as error:  # the letters' readers hear of all of them
                gone = error
        if gone is not None:
            raise gone

    def _end_unit(self, end: UnitEnd) -> None:
        lane, unit, span, free = end
        try:
            self.outbox.end_unit(lane, unit, span, free=free, letters_only=self._leaving)
        except ReadersGone:
            self._leaving = True
            raise

    def _note(self, record: Record) -> None:
        match record:
            case Results():
                self._note_results(record)
                return
            case Loaded():
                if self._loaded is not None:
                    self.tell(RunnerReady())
                self._loaded = record
                # A module of the user's may have added to it; a keeper loads items of its classes.
                sys.path[:] = record.path
            case FrameKeys():
                self.keys.note(record)
            case Told(report):
                if isinstance(report, ItemGivenUp):
                    self._given_up = report.failure
                self.tell(report)
            case Over():
                self._over = record
            case Broken(failure):
                self._at_hand().confirm()
                raise StageStopped(failure)
            case Quiet(total):
                self._note_quiet(total)
            case _:
                assert_never(record)
        self._at_hand().confirm()

    def _note_results(self, record: Results) -> None:
        payloads = self._payloads_of(record)
        self._at_hand().confirm()
        gone: ReadersGone | None = None
        for act in record.acts:
            try:
                self._do(act, payloads)
            except ReadersGone as error:  # what was counted is counted all the same
                self._leaving, gone = True, error
        if record.metrics is not None:
            self._metrics = record.metrics
        given_up, over = self._given_up_so_far(), self.row[OVER]
        ended = self._settle(record.counts)
        try:
            self._end_units(ended)
        except ReadersGone as error:
            gone = error
        # The runner has judged by what it knew of its mates. Of those who write this down for all
        # to see, the last one sees it all.
        if self._given_up_so_far() > given_up:
            self._stop_if(self._spending.after_giving_up(self._seen()))
        if self.row[OVER] > over:
            self._judge_at_end()
        if gone is not None:
            raise gone

    def _do(self, act: Act, payloads: Iterator[Any]) -> None:
        """Do what the loop has done."""
        match act:
            case Ended(lane, unit, span, free):
                self._pass_units(span)  # first: readers that are gone make the other raise
                self._end_unit(UnitEnd(lane, unit, span, free))
            case LoneFailed():
                self._docket.fail_lone()
            case Unread(port):
                self.outbox.count_unread(port, 1)
                self._count_emitted(port)
            case Emitted(port, item, lane, unit):
                payload = next(payloads)
                self._count_emitted(port)
                self._end_ahead(lane, unit)
                try:
                    if not self._leaving or port == ERRORS:  # a letter has a reader of its own
                        self.outbox.emit(port, payload, item, lane, unit)
                finally:
                    self._at_hand().took()
            case _:
                assert_never(act)

    def _end_ahead(self, lane: int, unit: int) -> None:
        """Something of a unit leaves by itself: its readers wait for the units ahead of it.

        That nobody needs what the stage gives is noted: a letter has a reader of its own.
        """
        end = self._docket.end_ahead(lane, unit)
        if end is not None:
            with suppress(ReadersGone):
                self._end_unit(end)

    def _pass_units(self, span: int) -> None:
        """So many units are over; the loop may have made one run of several."""
        while span > 0:
            passed = self._docket.pass_by(UnitEnd)
            span -= passed.span if isinstance(passed, UnitEnd) else span

    def _count_emitted(self, port: str) -> None:
        lone = self._docket.pass_by(Lone) if port == UNMATCHED else None
        if isinstance(lone, Lone):
            assert self.inbox is not None
            self.inbox.unmatched(lone)
        else:
            self._docket.emitted += 1

    def _settle(self, counts: tuple[int, ...]) -> list[UnitEnd]:
        """Bring the counts up to date, and let go of what is done; the units that end by that."""
        row = self.row
        if counts[0] > row[PROCESSED]:
            self._deaths = 0  # an item was finished
        for cell, count in zip(COUNTS, counts, strict=True):
            row[cell] = count
        newly, self._settled = settled(counts) - self._settled, settled(counts)
        if newly:
            self._retried = row[RETRIED]
        ended = self._docket.settle(newly)
        self._deaths += self._docket.deaths()
        for call in self._docket.failed_lones():
            assert self.inbox is not None
            self.row[RECEIVED] += 1
            self.inbox.delivered(call)
        return ended

    def _given_up_so_far(self) -> int:
        return self.row[SKIPPED] + self.row[DEAD_LETTERED]

    def _note_begun(self) -> None:
        """Note what the runner has in hand by now: it is delivered, and its credit goes back."""
        inbox, row = self.inbox, self.row
        assert inbox is not None
        for task, count in self._docket.begin(self._at_hand().begun()):
            match task:
                case Call():
                    row[RECEIVED] += len(task.origins)
                    inbox.delivered(task)
                case Calls():
                    row[RECEIVED] += count
                    inbox.delivered_in(task, count)
                    inbox.pay(task, count)
        call = self._docket.in_hand()
        if call is not None:
            put_hand(row, call.id)
        else:
            row[HAND_DEPTH] = 0
