"""What a stage gives that keeps units: rows the short way, the rest the longer one, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import ItemNotLoadable, Location
from pipeflow.planner.plan import Numbering, Route, StagePlan
from pipeflow.runtime.board import EMPTY, PROCESSED, RECEIVED, SENT, WORKER_WORDS, Words
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.gapped import GAPPED_FORM
from pipeflow.runtime.flow.inlets import InPort
from pipeflow.runtime.flow.joins import Call, Calls, Origin, UnitEnd, Unjoinable
from pipeflow.runtime.flow.merging import Merge, Straight
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.runs import Items, Run
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, first_id, parts_of
from pipeflow.runtime.flow.unloaded import without_unloadable
from pipeflow.runtime.loops.calls import CallLoop
from pipeflow.runtime.loops.rows import NEVER
from pipeflow.runtime.messages import EndOfInput
from pipeflow.stages.work import Work
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.unloadable import Unloadable
from tests.runtime import loop_fakes

#: What came of each unit.
Seen = dict[int, list[Any]]


class Inbox(loop_fakes.Inbox):
    """Rows of calls from a list."""

    arrivals = SimpleNamespace(is_sent_more=bool)

    def lot(self, _calls: Calls) -> int:
        return 3

    def port_of(self, _calls: Calls) -> InPort:
        intake = Straight(writers=1, lanes=1, lane_base=0)
        row = memoryview(bytearray(64)).cast("Q")
        return InPort(edge=0, row=row, private=False, intake=intake, channels=[])

    def delivered_in(self, calls: Calls, count: int) -> None:
        """Nobody counts it."""

    def pay(self, calls: Calls, count: int, *, at: int = 0) -> None:
        """Nobody waits for it."""


class Sender(loop_fakes.PlainAsPackets):
    """Keeps the parts that it was asked to send, in order."""

    hands_over = False

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.metas: list[bytes] = []
        self.credits = 0
        self.is_idle = True
        #: Credits that its reader has for it.
        self.free = 10**6

    def room(self, _nbytes: int = 0) -> int:
        return self.free - self.credits

    def bytes_left(self) -> int:
        return 2**20

    def idle(self) -> bool:
        return self.is_idle

    def credit_cells(self) -> None:
        """It has none."""

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.credits += credits
        self.parts += parts_of(meta, Decoder().decode(packet))
        self.metas.append(meta)


class Replica:
    """A stage, one that keeps units if not told otherwise, over fakes: real loop, real outbox."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        ports: tuple[str, ...] = ("out",),
        wait_for_room: Callable[[Sequence[Target]], None] = lambda _: None,
        numbering: Numbering = Numbering.KEEP,
    ) -> None:
        self.numbering = numbering
        self.senders = {port: Sender() for port in ports}
        self.row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
        self.edge: Words = memoryview(bytearray(64)).cast("Q")
        self.outbox = Outbox(
            {
                port: OutPort(
                    port,
                    [Spread(Route.SINGLE, [Target([OutChannel(sender, 0, self.edge)])])],  # type: ignore[arg-type]  # only what it uses
                )
                for port, sender in self.senders.items()
            },
            numbering=numbering,
            encoder=Encoder(),
            wait_for_room=wait_for_room,
            counters=(
                memoryview(bytearray(64)).cast("Q"),
                {port: number for number, port in enumerate(("out", "errors", "more"))},
            ),
        )
        self.inbox = Inbox([])
        stage = StagePlan(
            index=1,
            name="step",
            at=Location("pipeline.yaml", 3, 3),
            ports=("out", "errors", "more"),
            numbering=numbering,
        )
        self.loop = CallLoop(
            stage=stage,
            replica=0,
            names=("find", "step"),
            work=Work(call=function),
            inbox=self.inbox,  # type: ignore[arg-type]  # only what it uses
            outbox=self.outbox,
            row=self.row,
            tell=lambda _: None,
            waits=None,  # type: ignore[arg-type]  # it never waits
            stopping=NEVER,
        )

    def work_on(self, rows: dict[int, list[Any]]) -> Seen:
        """Rows of items by the unit of the first; gives what came of each unit on `out`."""
        self.work_on_rows(rows)
        return seen_of(self.senders["out"].parts)

    def work_on_rows(self, rows: dict[int, list[Any]]) -> None:
        """Rows of items by the unit of the first."""
        for unit, payloads in rows.items():
            ordinals = range(unit, unit + len(payloads))
            origin = Origin(0, 0, None)
            ends = self.numbering is Numbering.KEEP
            self.inbox.messages.append(
                Calls((0,), ordinals, payloads, 0, unit, origin, end_units=ends)
            )
        self.inbox.messages.append(EndOfInput({0: 10**6}))
        for _ in self.loop.steps():
            pass
        self.outbox.flush()


def seen_of(parts: list[Part]) -> Seen:
    """What came of each unit; they must rise, and each must end once."""
    seen: Seen = {}
    ended: list[int] = []
    for part in parts:
        for one in part.singly():
            assert one.span == 1
            assert one.unit not in ended
            seen.setdefault(one.unit, []).extend(payload for _, payload in one.items)
            if one.closed:
                ended.append(one.unit)
    assert list(seen) == ended
    assert all(a < b for a, b in pairwise(ended))
    return seen


def give(item: Any) -> Any:
    """Some items answer with nothing, some with several, by what they ask for."""
    kind, value = item
    match kind:
        case "none":
            return None
        case "many":
            return iter([value] * (value % 4))
        case _:
            return {"value": value}


def expected(item: Any) -> list[Any]:
    result = give(item)
    if result is None:
        return []
    return [result] if isinstance(result, dict) else list(result)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(
                st.tuples(st.sampled_from(["one", "one", "none", "many"]), st.integers(0, 9)),
                min_size=1,
                max_size=12,
            ),
        ),
        max_size=6,
    ),
    idle=st.booleans(),
)
def test_what_a_row_gives_leaves_in_the_order_of_its_units_whatever_is_in_between(
    rows: list[tuple[int, list[tuple[str, int]]]], idle: bool
) -> None:
    replica = Replica(give)
    replica.senders["out"].is_idle = idle
    at, wanted, messages = 0, {}, {}
    for gap, items in rows:
        at += gap
        messages[at] = list(items)
        for item in items:
            wanted[at] = expected(item)
            at += 1

    assert replica.work_on(messages) == wanted
    count = len(wanted)
    assert (replica.row[RECEIVED], replica.row[PROCESSED]) == (count, count)
    assert replica.row[EMPTY] == sum(not results for results in wanted.values())
    assert replica.edge[SENT] == sum(map(len, wanted.values()))


def test_rows_whose_units_do_not_rise_keep_the_ids_of_their_items() -> None:
    replica = Replica(give)  # behind replicas without order they come as they come
    row = [("one", number) for number in range(3)]

    replica.work_on_rows({20: row, 4: row})

    sent = replica.senders["out"]
    ids = [item for part in sent.parts for item, _ in part.items]
    assert ids == [(0, unit) for unit in (20, 21, 22, 4, 5, 6)]
    begun = [first_id(meta) for meta in sent.metas]
    assert begun == [item for item in ids if item in begun]
    assert (0, 4) in begun


def test_a_row_of_single_results_takes_a_credit_for_each_and_one_frame() -> None:
    replica = Replica(give)
    replica.senders["out"].is_idle = False

    replica.work_on({5: [("one", number) for number in range(8)]})

    assert replica.senders["out"].credits == 8
    assert [(part.unit, part.span) for part in replica.senders["out"].parts] == [(5, 8)]


@given(
    results=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["whole", "whole", "whole", "none", "many", "other lane"]),
            st.booleans(),
        ),
        max_size=20,
    ),
    idle=st.booleans(),
)
def test_whole_units_leave_in_their_order_whatever_goes_the_longer_way(
    results: list[tuple[int, str, bool]], idle: bool
) -> None:
    replica = Replica(give)
    sender, outbox = replica.senders["out"], replica.outbox
    sender.is_idle = idle
    unit, wanted = 0, list[tuple[int, int, list[int]]]()
    for gap, kind, more in results:
        unit += gap + 1
        lane = int(kind == "other lane")
        given_here = {"none": 0, "many": 2}.get(kind, 1)
        wanted.append((lane, unit, [unit] * given_here))
        if given_here == 1:
            outbox.emit_whole("out", unit, (0, unit), lane, unit, settled=True, more=more)
            continue
        for each in range(given_here):
            outbox.emit("out", unit, (0, unit, each), 0, unit)
        outbox.end_unit(0, unit, 1, free=False)
    outbox.flush()

    ones = [one for part in sender.parts for one in part.singly()]
    seen: dict[tuple[int, int], list[int]] = {}
    for one in ones:
        seen.setdefault((one.lane, one.unit), []).extend(payload for _, payload in one.items)
    assert [(*place, items) for place, items in seen.items()] == wanted
    assert [(one.lane, one.unit) for one in ones if one.closed] == [each[:2] for each in wanted]


def test_whole_units_look_for_room_again_once_others_have_taken_of_it() -> None:
    waits: list[int] = []

    def wait(_targets: Sequence[Target]) -> None:
        waits.append(len(sender.parts))
        sender.free = 10

    replica = Replica(give, wait_for_room=wait)
    sender, outbox = replica.senders["out"], replica.outbox
    sender.is_idle = False
    sender.free = 4

    outbox.emit_whole("out", 0, (0, 0), 0, 0, settled=True)
    outbox.emit("out", 1, (0, 1, 0), 1, 0)  # of another lane: three credits are left then
    outbox.end_unit(1, 0, 1, free=False)
    for unit in (1, 2, 3):
        outbox.emit_whole("out", unit, (0, unit), 0, unit, settled=True)

    # With the fourth all four were taken, and the fifth had to wait.
    assert waits
    assert sender.credits <= 4


def test_a_stage_with_several_read_ports_ends_its_units_on_each() -> None:
    replica = Replica(give, ports=("out", "more"))

    seen = replica.work_on({0: [("one", 1), ("many", 2), ("one", 3)]})

    assert seen == {0: [{"value": 1}], 1: [2, 2], 2: [{"value": 3}]}
    assert seen_of(replica.senders["more"].parts) == {0: [], 1: [], 2: []}


def test_a_split_of_which_one_port_is_read_sends_units_in_a_row() -> None:
    replica = Replica(give, numbering=Numbering.PER_STAGE)
    sender = replica.senders["out"]
    sender.is_idle = False

    seen = replica.work_on({0: [("one", 1), ("none", 2), ("many", 3), ("one", 4)]})

    assert seen == {0: [{"value": 1}], 1: [3], 2: [3], 3: [3], 4: [{"value": 4}]}
    assert all(type(part.items) is Items for part in sender.parts)


def frame(unit: int, count: int) -> tuple[bytes, list[Any]]:
    run = Run()
    run.first = unit
    run.begin((0,), unit)
    for number in range(unit, unit + count):
        run.append(number, number)
    cut = run.cut()
    return cut.meta, cut.payloads


def test_who_knows_rows_gets_units_of_one_item_in_rows() -> None:
    collector = Collector(writers=1, lanes=1, ordered=True, in_parts=False, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=True)
    merge.give_rows(woven=False)
    collector.feed_frame(0, *frame(7, 3), None)

    row = merge.take()

    assert isinstance(row, Calls)
    assert (row.unit, row.payloads, row.end_units) == (7, [7, 8, 9], True)
    assert merge.take() is None


def test_who_does_not_gets_each_with_its_end() -> None:
    collector = Collector(writers=1, lanes=1, ordered=True, in_parts=False, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=True)
    collector.feed_frame(0, *frame(7, 2), None)

    kinds = [type(output) for output in iter(merge.take, None)]

    assert kinds == [Call, UnitEnd, Call, UnitEnd]


def test_a_unit_that_several_writers_share_never_ends_in_a_row() -> None:
    collector = Collector(writers=2, lanes=1, ordered=True, in_parts=True, first=0, step=1)
    merge = Merge([collector], [0], unit_ends=True)
    merge.give_rows(woven=False)
    for writer in (0, 1):
        collector.feed_frame(writer, *frame(0, 2), None)

    outputs = list(iter(merge.take, None))

    assert not any(isinstance(output, Calls) and output.end_units for output in outputs)
    assert sum(isinstance(output, UnitEnd) for output in outputs) == 2


def test_a_unit_whose_item_cannot_be_loaded_ends_all_the_same() -> None:
    broken = Unloadable(ItemNotLoadable(1, "it is torn"))
    row = Calls((0,), range(3), ["a", broken, "c"], 0, 7, Origin(0, 0, None), end_units=True)

    told = list(without_unloadable(row))

    assert [type(each) for each in told] == [Calls, Unjoinable, UnitEnd, Calls]
    assert [each.unit for each in told if isinstance(each, Calls | UnitEnd)] == [7, 8, 9]
    assert all(each.end_units for each in told if isinstance(each, Calls))


@given(
    kinds=st.lists(
        st.sampled_from(["whole", "whole", "whole", "none", "none", "many", "other port", "gap"]),
        max_size=60,
    ),
    flushes=st.sets(st.integers(0, 60)),
    idle=st.booleans(),
)
def test_every_port_hears_of_each_unit_once_whichever_way_its_results_go(
    kinds: list[str], flushes: set[int], idle: bool
) -> None:
    replica = Replica(give, ports=("out", "more"))
    outbox, wanted = replica.outbox, {"out": dict[int, list[int]](), "more": {}}
    replica.senders["out"].is_idle = replica.senders["more"].is_idle = idle
    unit, told = 0, 0  # of those before this one the ports have heard
    for at, kind in enumerate(kinds):
        wanted["out"][unit], wanted["more"][unit] = [], []
        if kind == "whole":
            wanted["out"][unit] = [unit]
            outbox.emit_whole("out", unit, (0, unit), 0, unit, over=(told, unit + 1), settled=True)
            told = unit + 1
        elif kind != "gap":
            if told < unit:
                outbox.end_unit(0, told, unit - told, free=True)
            results = {"many": ["out", "out"], "other port": ["more"]}.get(kind, [])
            for number, port in enumerate(results):
                wanted[port][unit].append(number)
                outbox.emit(port, number, (0, unit, number), 0, unit)
            outbox.end_unit(0, unit, 1, free=False)
            told = unit + 1
        if at in flushes:
            outbox.flush()
        unit += 1
    if told < unit:
        outbox.end_unit(0, told, unit - told, free=True)
    outbox.flush()

    for port, sender in replica.senders.items():
        ones = [
            (each, one)
            for part in sender.parts
            for one in part.singly()
            for each in range(one.unit, one.unit + one.span)
        ]
        seen: dict[int, list[int]] = {}
        for each, one in ones:
            seen.setdefault(each, []).extend(payload for _, payload in one.items)
        assert [each for each, one in ones if one.closed] == list(wanted[port])
        assert seen == wanted[port]


def test_units_without_results_go_the_short_way_again_once_there_are_many() -> None:
    replica = Replica(give)
    sender, outbox = replica.senders["out"], replica.outbox
    sender.is_idle = False

    outbox.emit("out", "a", (0, 0, 0), 0, 0)
    for unit in range(100):
        outbox.end_unit(0, unit, 1, free=False)
    outbox.flush()

    assert [meta[0] == GAPPED_FORM for meta in sender.metas] == [False, True]
    assert sender.credits == 100


def test_none_in_a_row_leaves_a_gap_and_costs_a_credit() -> None:
    replica = Replica(give)
    replica.senders["out"].is_idle = False

    seen = replica.work_on({4: [("one", 1), ("none", 2), ("none", 3), ("one", 4)]})

    assert seen == {4: [{"value": 1}], 5: [], 6: [], 7: [{"value": 4}]}
    assert replica.senders["out"].credits == 4
    assert len(replica.senders["out"].metas) == 1


@given(
    row=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["one", "one", "none", "many"])), max_size=30
    ),
    last=st.integers(0, 3),
    free=st.sampled_from([1, 3, 10**6]),
    idle=st.booleans(),
)
def test_a_row_with_gaps_tells_of_every_unit_it_has(
    row: list[tuple[int, str]], last: int, free: int, idle: bool
) -> None:
    def take_all(_targets: Sequence[Target]) -> None:
        sender.free = sender.credits + free

    replica = Replica(give, wait_for_room=take_all)
    sender = replica.senders["out"]
    sender.free, sender.is_idle = free, idle
    units, wanted, at = list[int](), dict[int, list[Any]](), 5
    for gap, kind in row:
        wanted |= {unit: [] for unit in range(at, at + gap)}
        at += gap
        units.append(at)
        wanted[at] = expected((kind, at % 4))
        at += 1
    wanted |= {unit: [] for unit in range(at, at + last)}
    payloads = [(kind, unit % 4) for (_, kind), unit in zip(row, units, strict=True)]
    ids = [2 * unit for unit in units]
    gapped = Calls((0,), ids, payloads, 0, 5, Origin(0, 0, None), True, units=units, end=at + last)

    replica.inbox.messages += [gapped] if row else []
    replica.work_on_rows({at + last: [("one", 1)]})

    ones = [one for part in sender.parts for one in part.singly()]
    seen: dict[int, list[Any]] = {}
    for one in ones:
        for unit in range(one.unit, one.unit + one.span):
            seen.setdefault(unit, []).extend(payload for _, payload in one.items)
    if not row:
        wanted.clear()
    assert seen == wanted | {at + last: [{"value": 1}]}
    assert replica.row[RECEIVED] == replica.row[PROCESSED] == len(row) + 1
    assert replica.edge[SENT] == sum(map(len, seen.values()))


def test_a_row_with_gaps_is_cut_where_an_item_cannot_be_loaded_and_no_unit_is_left_out() -> None:
    broken = Unloadable(ItemNotLoadable(1, "it is torn"))
    row = Calls(
        (0,),
        [20, 50, 60],
        [broken, "b", broken],
        0,
        1,
        Origin(0, 0, None),
        end_units=True,
        units=[2, 5, 6],
        end=9,
    )

    told = list(without_unloadable(row))

    kinds = [type(each) for each in told]
    assert kinds == [UnitEnd, Unjoinable, UnitEnd, Calls, Unjoinable, UnitEnd, UnitEnd]
    ends = [(end.unit, end.span, end.free) for end in told if isinstance(end, UnitEnd)]
    assert ends == [(1, 1, True), (2, 1, False), (6, 1, False), (7, 2, True)]
    (piece,) = [each for each in told if isinstance(each, Calls)]
    assert (piece.unit, piece.units, piece.end, piece.payloads) == (3, [5], 6, ["b"])
    assert [each.call.unit for each in told if isinstance(each, Unjoinable)] == [2, 6]
