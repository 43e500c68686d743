from __future__ import annotations

import gc
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from pipeflow.runtime.board import RECEIVED, SENT, WORKER_WORDS, Words, end_row, hand, received
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.flow.pacing import worth_a_frame
from pipeflow.runtime.flow.refused import ResultNotSerializable
from pipeflow.runtime.flow.runs import Run
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.runtime.loops import rows
from pipeflow.runtime.loops.rows import append_from, call_into, call_only, nowhere
from pipeflow.runtime.messages import ItemId
from pipeflow.stages.work import Routed
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from tests.runtime import stretches
from tests.runtime.loop_fakes import PlainAsPackets

ROOM_BYTES = 64 * 2**20


class Reader(PlainAsPackets):
    """The end of a channel whose reader takes all that is sent, and may be idle."""

    hands_over = False

    def __init__(self, room: int = 100) -> None:
        self.free = room
        self.sent_bytes = 0
        self.busy = True
        self.frames: list[Part] = []

    def credit_cells(self) -> None:
        return None

    def room(self, nbytes: int = 0) -> int:
        return self.free if self.sent_bytes + nbytes <= ROOM_BYTES else 0

    def bytes_left(self) -> int:
        return ROOM_BYTES - self.sent_bytes

    def idle(self) -> bool:
        return not self.busy

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.free -= credits
        self.sent_bytes += packet.shared_bytes
        self.frames += parts_of(meta, Decoder().decode(packet))

    def items(self) -> list[tuple[ItemId, Any]]:
        return [pair for part in self.frames for pair in part.items]


class Way:
    """An express way to one reader, with what is counted of it."""

    def __init__(
        self, reader: Reader, *, now: Callable[[], float] = perf_counter, waits_s: float = 0
    ) -> None:
        self.reader = reader
        self.waited_s, self._waits_s = 0.0, waits_s
        self.edge: Words = memoryview(bytearray(64)).cast("Q")
        self.cells: Words = memoryview(bytearray(8)).cast("Q")
        self.waits = 0
        self.express = Express(
            Target([OutChannel(reader, 0, self.edge)]),  # type: ignore[arg-type]  # only what it uses
            encoder=Encoder(),
            counter=(self.cells, 0),
            lock=threading.Lock(),
            wait_for_room=self._wait,
            reader_left=lambda: None,
            batch_items=64,
            now=lambda: now() + self.waited_s,
        )

    def _wait(self, _targets: Sequence[Target]) -> None:
        self.waits += 1
        self.waited_s += self._waits_s
        self.express.flush()
        self.reader.free += 1

    def call(
        self,
        function: Callable[[Any], Any],
        payloads: list[Any],
        *,
        wait: bool = False,
        more: bool = False,
    ) -> Any:
        calls = Calls((3,), range(len(payloads)), payloads, 0, 0, Origin(0, 0, None))
        self.express.room(calls.prefix, 0)
        row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
        span = (0, len(payloads))
        halt = call_into(
            function,
            calls,
            span,
            row=row,
            edge=0,
            express=self.express,
            wait=wait,
            more=lambda: more,
            route=nowhere,
        )
        assert received(row) == halt.at + (halt.at < len(payloads))
        return halt


@pytest.fixture(autouse=True, params=stretches.ALL)
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All holds of the compiled loops and of those in Python."""
    monkeypatch.setattr(rows, "stretch", stretches.load(request.param))


def inverse(number: int) -> int:
    return 1 // number


def records(count: int) -> list[Any]:
    return [{"id": number, "x": number / 2} for number in range(count)]


def test_a_row_of_calls_sends_what_they_give_with_the_ids_of_the_items() -> None:
    way = Way(Reader())

    halt = way.call(lambda item: None if item["id"] == 1 else {"id": item["id"]}, records(4))
    way.express.flush()

    assert (halt.at, halt.empty) == (4, 1)
    assert way.reader.items() == [((3, n), {"id": n}) for n in (0, 2, 3)]
    assert (way.cells[0], way.edge[SENT]) == (3, 3)


@pytest.mark.parametrize(
    "function",
    [
        lambda item: item,
        lambda item: {**item, "name": "n"},
        lambda item: (item["id"], "two"),
        lambda item: item["x"],
    ],
    ids=["the item itself", "a new dict", "a tuple", "a number"],
)
def test_what_nobody_can_change_any_more_travels_in_one_pickle(
    function: Callable[[Any], Any],
) -> None:
    way = Way(Reader())

    way.call(function, records(8))

    assert way.express.run.pile is None
    assert len(way.express.run.payloads) == 8


@pytest.mark.parametrize(
    "scalar",
    [np.float32(0.5), np.int64(3), np.bool_(True), np.datetime64("2026-11-28"), np.str_("a")],
    ids=lambda scalar: type(scalar).__name__,
)
def test_a_number_of_numpy_is_as_good_as_one_of_python(scalar: np.generic) -> None:
    way, plain = Way(Reader()), []

    way.call(lambda item: scalar if item["id"] else {"mean": scalar, "of": (scalar, 2)}, records(3))
    waiting = way.express.run.pile is None
    plain.append(way.express.run.plain)
    way.express.flush()

    assert waiting
    assert plain == [False]  # to load it takes numpy
    assert way.reader.items() == [
        ((3, 0), {"mean": scalar, "of": (scalar, 2)}),
        ((3, 1), scalar),
        ((3, 2), scalar),
    ]


class Celsius(np.float64):
    """A number that can be written upon."""


def written_upon(kind: str) -> Any:
    if kind == "void":
        return np.zeros(1, "i8,i8")[0]
    return Celsius(1.0)


@pytest.mark.parametrize("kind", ["void", "subclass"])
def test_what_can_be_changed_of_numpy_is_pickled_at_once(kind: str) -> None:
    way = Way(Reader())
    value = written_upon(kind)

    way.call(lambda _: value, records(2))

    assert way.express.run.pile is not None


def test_an_item_that_the_function_keeps_is_pickled_before_it_can_change() -> None:
    way = Way(Reader())
    kept: list[Any] = []

    def keep(item: Any) -> Any:
        if kept:
            kept[-1]["x"] = "changed"
        kept.append(item)
        return item

    way.call(keep, records(3))
    way.express.flush()

    assert way.reader.items() == [((3, n), item) for n, item in enumerate(records(3))]


def test_what_lies_inside_a_result_and_can_change_is_pickled_at_once() -> None:
    way, inside = Way(Reader()), [0]

    def refill(item: Any) -> Any:
        inside[0] = item["id"]
        return {"inside": inside}

    way.call(refill, records(3))
    way.express.flush()

    assert way.reader.items() == [((3, n), {"inside": [n]}) for n in range(3)]


def test_a_source_that_refills_its_dict_gives_what_it_was() -> None:
    way = Way(Reader())

    def refill() -> Iterator[dict[str, int]]:
        record = {"n": 0}
        for number in range(3):
            record["n"] = number
            yield record

    way.express.room((7,), 0)
    got = append_from(refill(), (5, 1, 10), express=way.express, asking=bytearray(1))
    way.express.flush()

    assert (got.appended, type(got.error)) == (3, StopIteration)
    assert way.reader.items() == [((7, 5 + n), {"n": n}) for n in range(3)]


def test_a_row_halts_at_what_is_more_than_one_result_and_at_an_error() -> None:
    way = Way(Reader())
    routed = Routed("masks", 1)

    at_port = way.call(lambda item: routed if item == 2 else item, [0, 1, 2, 3])
    at_error = way.call(lambda item: 1 // item, [1, 0])

    assert (at_port.at, at_port.result) == (2, routed)
    assert (at_error.at, type(at_error.error)) == (1, ZeroDivisionError)


def test_a_result_for_which_there_is_no_room_is_made_and_then_waits() -> None:
    reader = Reader(room=0)
    way, told = Way(reader), []

    def note(item: int) -> int:
        told.append((item, way.waits))
        return item

    assert way.express.room((3,), 0) == 0
    way.call(note, [41], wait=True)

    assert told == [(41, 0)]
    assert way.waits == 1
    assert len(way.express.run.payloads) == 1


def test_an_idle_reader_gets_a_slow_item_at_once_and_many_quick_ones_together() -> None:
    reader = Reader()
    reader.busy = False
    way = Way(reader)

    way.call(lambda item: item, [1])

    assert len(reader.items()) == 1
    assert worth_a_frame(1, 0.01, before=128, most=128) == 1
    assert worth_a_frame(100, 0.0001, before=1, most=128) == 4
    assert worth_a_frame(100, 0.0001, before=64, most=128) == 128


def test_a_row_that_nobody_reads_counts_what_it_gives() -> None:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    calls = Calls((3,), range(3), [1, 2, 3], 0, 0, Origin(0, 0, None))

    halt = call_only(lambda n: n if n > 1 else None, calls, (0, 3), row=row, edge=0, route=nowhere)

    assert (halt.at, halt.empty, halt.unread) == (3, 1, 2)
    assert (hand(row), received(row)) == ((3, 2), 3)


def test_a_run_is_cut_between_any_two_items_and_its_ids_go_on() -> None:
    run, frames = Run(), []
    for prefix in [(1,), (2, 5), (2, 5), (3,)]:
        run.begin(prefix, 4)
        for ordinal in (4, 5):
            run.add(f"{prefix} {ordinal}", ordinal, Encoder().pile)
        if prefix != (1,):
            frames.append(run.cut())

    parts = [part for cut in frames for part in parts_of(cut.meta, cut.payloads)]

    assert [(part.unit, part.span) for part in parts] == [(0, 4), (4, 2), (6, 2)]
    pairs = [pair for part in parts for pair in part.items]
    assert [payload for _, payload in pairs] == [f"{item[:-1]} {item[-1]}" for item, _ in pairs]


def test_after_a_gap_ordinals_are_listed_until_nothing_waits() -> None:
    run = Run()
    run.begin((1,), 7)
    assert run.listed is None
    run.payloads += ["a", "b"]
    run.begin((1,), 9)
    assert run.listed is None, "it counts on"
    listed = run.list_ordinals()
    for ordinal, payload in [(10, "c"), (13, "d")]:
        listed.append(ordinal)
        run.payloads.append(payload)
    listed.append(14)
    cut = run.cut()  # the sending thread came between the two
    run.payloads.append("e")

    run.begin((1,), 20)
    assert run.listed is not None, "one that is listed waits"
    last = run.cut()
    run.begin((1,), 20)
    assert run.listed is None

    ids = [
        item
        for each in (cut, last)
        for part in parts_of(each.meta, each.payloads)
        for item, _ in part.items
    ]
    assert ids == [(1, 7), (1, 8), (1, 10), (1, 13), (1, 14)]


def test_a_frame_is_as_old_as_its_first_item_though_the_loop_goes_on_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way, sent = Way(Reader()), list[int]()
    express = way.express
    express.room((7,), 0)
    express.append("a", 0)
    born, cut, send = express.born, express.run.cut, express.target.send_plain

    def cut_and_go_on() -> Any:
        taken = cut()
        express.hold()  # the loop's thread, while the second one sends
        return taken

    def note(*told: Any, born: int) -> bool:
        sent.append(born)
        return send(*told, born=born)

    monkeypatch.setattr(Run, "cut", lambda _: cut_and_go_on())
    monkeypatch.setattr(Target, "send_plain", lambda _, *told, born: note(*told, born=born))
    express.flush()

    assert sent == [born]
    assert express.born > born


def test_in_a_row_with_gaps_the_board_knows_what_was_begun_and_which_is_in_hand() -> None:
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    row[RECEIVED] = 10
    seen: list[tuple[int, ItemId]] = []
    calls = Calls((3,), [4, 9, 11], [1, 2, 3], 0, 0, Origin(0, 0, None))

    halt = call_only(
        lambda _: seen.append((received(row), hand(row))),
        calls,
        (1, 3),
        row=row,
        edge=0,
        route=nowhere,
    )

    assert halt.at == 3
    assert seen == [(11, (3, 9)), (12, (3, 11))]
    end_row(row)
    assert received(row) == 10  # until the caller adds what the row did


def test_a_source_that_gives_none_in_between_loses_no_ordinal() -> None:
    way = Way(Reader())

    way.express.room((7,), 0)
    items = iter([1, None, None, 2])
    got = append_from(items, (0, 3, 10), express=way.express, asking=bytearray(1))
    way.express.flush()

    assert (got.appended, type(got.error)) == (2, StopIteration)
    assert way.reader.items() == [((7, 0), 1), ((7, 3), 2)]


def test_a_source_is_asked_for_no_more_than_there_is_room_for() -> None:
    way, items = Way(Reader(room=3)), iter(range(10))

    room = way.express.room((7,), 0)
    got = append_from(items, (0, 1, room), express=way.express, asking=bytearray(1))

    assert (room, got.appended, got.error) == (3, 3, None)
    assert next(items) == 3


@pytest.mark.parametrize("more", [False, True])
def test_what_a_frame_has_made_leaves_for_an_idle_reader_unless_another_frame_has_come(
    more: bool,
) -> None:
    way = Way(Reader(), now=itertools.count(step=1e-6).__next__)
    way.express.least, way.reader.busy = 16, False

    way.call(lambda item: item, records(8), more=more)

    assert len(way.express.run.payloads) == (8 if more else 0)


def test_slow_items_at_the_end_of_a_frame_make_frames_small_again() -> None:
    way = Way(Reader(), now=itertools.count(step=1).__next__)
    way.express.least, way.reader.busy = 16, False

    way.call(lambda item: item, records(8), more=True)

    assert way.express.least == 1
    assert not way.express.run.payloads


def test_a_wait_for_room_does_not_make_quick_items_look_slow() -> None:
    """Else the first one after each wait would leave alone, to a reader that has just got idle."""
    way = Way(Reader(room=40), now=itertools.count(step=1e-6).__next__, waits_s=1)
    items = iter(range(100))

    append_from(items, (0, 1, way.express.room((7,), 0)), express=way.express, asking=bytearray(1))
    before = way.express.least
    way.reader.busy = False
    room = way.express.room((7,), 40)
    append_from(items, (40, 1, room), express=way.express, asking=bytearray(1))

    assert (room, way.waits) == (0, 1)
    assert way.express.least >= before > 1
    assert way.express.run.payloads == [40]


def test_a_row_halts_at_the_right_item_though_two_of_its_items_have_one_id() -> None:
    """Two branches of one source that merge again give two items of each id."""
    row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    way, payloads = Way(Reader()), [1, 2, 3, 0]
    way.express.room((3,), 0)
    calls = Calls((3,), [4, 5, 4, 5], payloads, 0, 0, Origin(0, 0, None))
    into = partial(
        call_into,
        lambda n: 1 // n,
        calls,
        express=way.express,
        wait=False,
        more=bool,
        route=nowhere,
    )
    only = partial(call_only, lambda n: 1 // n, calls, route=nowhere)

    halts = [call(span, row=row, edge=0) for call in (into, only) for span in ((0, 4), (1, 4))]

    assert [(halt.at, type(halt.error)) for halt in halts] == [(3, ZeroDivisionError)] * 4


def test_a_key_that_cannot_be_pickled_is_the_error_of_its_own_item() -> None:
    way = Way(Reader())

    halt = way.call(lambda n: {"n": n} if n != 1 else {"n": n, hashlib.md5(): n}, [0, 1, 2])
    way.express.flush()

    assert (halt.at, type(halt.error)) == (1, ResultNotSerializable)
    assert way.reader.items() == [((3, 0), {"n": 0})]


def test_who_looks_at_all_objects_and_keeps_them_may_fill_a_dict_again_all_the_same() -> None:
    """It then keeps what ``zip`` would hold the item by, so that one reference less is ours."""
    way = Way(Reader())

    def refill() -> Iterator[dict[str, int]]:
        yield {"n": 0}
        seen = [each for each in gc.get_objects() if type(each) is tuple]
        yield {"n": 1}
        record = {"n": 2}
        while record["n"] < 6:
            yield record
            record["n"] += 1
        assert seen

    way.express.room((7,), 0)
    way.express.least = 10
    append_from(refill(), (0, 1, 10), express=way.express, asking=bytearray(1))
    way.express.flush()

    assert [item["n"] for _, item in way.reader.items()] == [*range(6)]


@pytest.mark.parametrize(
    ("payload", "plain"), [({"id": 1}, True), ((1, "two"), True), (range(3), False)]
)
def test_a_frame_is_plain_if_to_load_it_runs_no_code_but_ours(payload: Any, plain: bool) -> None:
    run = Run()

    run.add(1, 0, Encoder().pile, settled=True)
    run.add(payload, 1, Encoder().pile, settled=True)

    assert run.cut().plain is plain
    run.add(2, 2, Encoder().pile, settled=True)
    assert run.cut().plain
