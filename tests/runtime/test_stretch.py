"""The innermost loops keep their promises, in Python and compiled."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.runtime.board import ROW_BEGUN, WORKER_WORDS, Marks, Words, begin_row, begun
from pipeflow.runtime.loops import stretch
from pipeflow.stages.work import Routed
from tests.runtime import stretches

ASLEEP, AWAKE, GO_ON = bytes(1), b"\1", bytes(1)


@pytest.fixture(params=stretches.ALL)
def loops(request: pytest.FixtureRequest) -> Any:
    return stretches.load(request.param)


def take(loops: Any, items: Iterator[Any], most: int = 10, **settings: Any) -> tuple[Any, ...]:
    """``take`` with what most tests have no eye for."""
    told: tuple[Any, ...] = loops.take(
        items,
        most,
        settings.get("waiting", []),
        settings.get("listed"),
        settings.get("ordinal", 0),
        settings.get("step", 1),
        settings.get("woken", AWAKE),
        settings.get("stopping", GO_ON),
        settings.get("asking", bytearray(1)),
    )
    return told


def new_row() -> Words:
    return memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")


def marks_of(ordinals: range | list[int], start: int = 0) -> Marks:
    return begin_row(new_row(), 0, (3,), ordinals, start)


def call(
    loops: Any, function: Callable[..., Any], payloads: list[Any], **settings: Any
) -> tuple[Any, ...]:
    """``call`` with what most tests have no eye for."""
    told: tuple[Any, ...] = loops.call(
        function,
        payloads,
        settings.get("at", 0),
        settings.get("stop", len(payloads)),
        settings.get("marks") or marks_of(range(len(payloads))),
        settings.get("waiting", []),
        settings.get("listed"),
        settings.get("woken", AWAKE),
        settings.get("passes_none", True),
        settings.get("joined", False),
    )
    return told


def fresh(number: int) -> dict[str, Any]:
    return {"id": number}


# -- take


def test_an_iterator_is_asked_for_as_many_as_there_is_room_for(loops: Any) -> None:
    items = iter(range(5))
    waiting: list[int] = []

    assert take(loops, items, 3, waiting=waiting) == (3, loops.WHOLE, None, False)
    assert (waiting, next(items)) == ([0, 1, 2], 3)


def test_at_its_end_an_iterator_has_stopped(loops: Any) -> None:
    waiting: list[Any] = []

    taken, why, error, _ = take(loops, (fresh(n) for n in range(2)), waiting=waiting)

    assert (taken, why, type(error)) == (2, loops.RAISED, StopIteration)
    assert waiting == [{"id": 0}, {"id": 1}]


def test_what_an_iterator_raises_is_told_with_the_frames_of_the_user(loops: Any) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    taken, why, error, _ = take(loops, failing())

    assert (taken, why, str(error)) == (1, loops.RAISED, "no more")
    names, trace = [], error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "failing"


def test_ordinals_are_listed_by_their_step(loops: Any) -> None:
    listed = [1]

    take(loops, iter("abc"), listed=listed, ordinal=4, step=3)

    assert listed == [1, 4, 7, 10]


def test_a_thread_that_does_not_know_is_to_be_told_after_the_first_item(loops: Any) -> None:
    waiting: list[Any] = []

    assert take(loops, iter("abc"), waiting=waiting, woken=ASLEEP) == (1, loops.UNSEEN, None, False)
    assert waiting == ["a"]


def test_who_is_to_stop_takes_no_more_than_one(loops: Any) -> None:
    cell: Words = memoryview(bytearray(8)).cast("Q")
    items = iter("abc")

    assert take(loops, items, 1, stopping=cell)[1] == loops.WHOLE
    cell[0] = 1
    assert take(loops, items, 2, stopping=cell) == (1, loops.STOPPING, None, False)


def test_the_user_is_being_asked_only_while_the_user_is_asked(loops: Any) -> None:
    asking, seen = bytearray(1), []

    def source() -> Iterator[int]:
        seen.append(asking[0])
        yield 1
        seen.append(asking[0])
        raise KeyError

    take(loops, source(), asking=asking)

    assert (seen, asking[0]) == ([1, 1], 0)


def test_where_nothing_may_be_appended_the_first_item_is_given_back(loops: Any) -> None:
    items = iter([fresh(1), fresh(2)])

    assert take(loops, items, waiting=None)[:3] == (0, loops.OTHER, {"id": 1})


# -- what may wait


class Text(str):
    __slots__ = ()


class Changing:
    """What the user may change when it was passed on."""


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


KEPT: list[Any] = [{"id": 1}, [1], (1, "a"), ([1], "a")]

SETTLED: dict[str, Callable[[], Any]] = {
    "int": lambda: 10**20,
    "float": lambda: 0.5,
    "text": lambda: "text",
    "bytes": lambda: b"bytes",
    "bool": lambda: True,
    "dict": lambda: {"id": 1, "x": 0.5, "none": None},
    "dict of numbers": lambda: {1: 2},
    "list": lambda: [1, "a"],
    "tuple": lambda: (1, [].__len__()),
    "empty": dict,
    "a dict of a list of dicts": lambda: {"at": [{"x": 1}, {"x": [2, (3, "a")]}]},
    "a tuple of numbers that is kept": lambda: KEPT[2],
    "a dict with that tuple": lambda: {"at": KEPT[2]},
    "a list in a list": lambda: nested(8),
}
OTHER: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "a dict that is kept": lambda: KEPT[0],
    "a list that is kept": lambda: KEPT[1],
    "a tuple with a list that is kept": lambda: KEPT[3],
    "an object": Changing,
    "a dict with an object": lambda: {"it": Changing()},
    "a dict with a dict that is kept": lambda: {"it": KEPT[0]},
    "a list with a list that is kept": lambda: [[KEPT[1]]],
    "a tuple with that tuple": lambda: (KEPT[3],),
    "a dict with an object deep inside": lambda: {"at": [{"x": Changing()}]},
    "what is nested too deep": lambda: nested(12),
    "a text of a class of the user's": lambda: Text("a"),
    "a dict with a key of a class of the user's": lambda: {Text("a"): 1},
    "a bytearray": lambda: bytearray(1),
    "a routed item": lambda: Routed("left", 1),
    "an iterator": lambda: iter(()),
}


@pytest.mark.parametrize("kind", SETTLED)
def test_what_nobody_can_change_may_wait(loops: Any, kind: str) -> None:
    made = SETTLED[kind]
    waiting: list[Any] = []
    called: list[Any] = []

    assert take(loops, (made() for _ in range(1)), 1, waiting=waiting)[1] == loops.WHOLE
    assert call(loops, lambda _: made(), [0], waiting=called)[2] == loops.WHOLE
    assert waiting == called == [made()]


@pytest.mark.parametrize("kind", OTHER)
def test_what_may_be_changed_or_is_no_item_does_not_wait(loops: Any, kind: str) -> None:
    made = OTHER[kind]
    waiting: list[Any] = []
    called: list[Any] = []

    taken, why, result, _ = take(loops, (made() for _ in range(1)), 1, waiting=waiting)
    at, empty, halted, answer, _ = call(loops, lambda _: made(), [0], waiting=called)

    assert (taken, why, type(result)) == (0, loops.OTHER, type(made()))
    assert (at, empty, halted, type(answer)) == (0, 0, loops.OTHER, type(made()))
    assert not waiting
    assert not called


def test_whether_nobody_else_has_a_result_is_told_with_it(loops: Any) -> None:
    kept: list[Any] = []

    def keep(item: Any) -> Any:
        kept.append(item)
        return item

    alone = call(loops, lambda item: item, [[bytearray(1)]])
    shared = call(loops, keep, [{"id": 1}])
    given = take(loops, (bytearray(1) for _ in range(1)))

    assert (alone[2], alone[4]) == (loops.OTHER, True)
    assert (shared[2], shared[4]) == (loops.OTHER, False)
    assert given[3] is True


def test_an_item_that_comes_back_from_the_function_may_wait_unless_it_was_kept(loops: Any) -> None:
    items = [fresh(n) for n in range(3)]
    waiting: list[Any] = []
    kept: list[Any] = []

    def keep_one(item: Any) -> Any:
        if item["id"] == 1:
            kept.append(item)
        return item

    assert call(loops, keep_one, items, waiting=waiting)[:3] == (1, 0, loops.OTHER)
    assert waiting == items[:1]


@pytest.mark.parametrize(
    "made",
    [
        lambda item: {**item, "new": 1},
        lambda item: {"it": item["deep"]},
        lambda item: [{"at": {"it": item["list"]}}],
        lambda item: (item["deep"], item["list"]),
    ],
)
def test_what_a_result_has_taken_over_from_its_item_is_nobody_elses(
    loops: Any, made: Callable[[Any], Any]
) -> None:
    items = [{"n": n, "deep": {"x": [1]}, "list": [n]} for n in range(3)]
    waiting: list[Any] = []

    assert call(loops, made, items, waiting=waiting)[2] == loops.WHOLE
    assert waiting == [made({"n": n, "deep": {"x": [1]}, "list": [n]}) for n in range(3)]


@pytest.mark.parametrize("keeps", ["the item", "a part of it", "a part of a part", "the result"])
def test_what_is_kept_of_an_item_or_of_its_result_may_still_be_changed(
    loops: Any, keeps: str
) -> None:
    kept: list[Any] = []

    def make(item: Any) -> Any:
        result = {"it": item["deep"], "n": item["n"]}
        parts = {
            "the item": item,
            "a part of it": item["deep"],
            "a part of a part": item["deep"]["x"],
            "the result": result,
        }
        kept.append(parts[keeps])
        return result

    answered = call(loops, make, [{"n": 1, "deep": {"x": [1]}}])

    assert answered[:3] == (0, 0, loops.OTHER)


def test_an_item_with_very_many_values_is_not_searched(loops: Any) -> None:
    items = [{str(n): [n] for n in range(100)}]

    assert call(loops, dict, items)[:3] == (0, 0, loops.OTHER)


# -- pairs


def test_of_a_pair_each_item_is_an_argument_of_its_own(loops: Any) -> None:
    waiting: list[Any] = []
    seen: list[Any] = []

    told = call(loops, lambda a, b: a + b, [(1, 2), (3, 4)], waiting=waiting, joined=True)
    loops.call_only(lambda *pair: seen.append(pair), [(5, 6)], 0, 1, marks_of(range(1)), True)

    assert (told[:3], waiting) == ((2, 0, loops.WHOLE), [3, 7])
    assert seen == [(5, 6)]


@pytest.mark.parametrize(
    "made",
    [
        lambda _, b: b,
        lambda a, b: (a, b),
        lambda a, b: {"a": a, "b": b},
        lambda a, b: {**a, "deep": b["deep"]},
        lambda a, b: [a["n"], {"it": b}],
    ],
)
def test_what_a_result_has_taken_over_from_a_pair_is_nobody_elses(
    loops: Any, made: Callable[[Any, Any], Any]
) -> None:
    def pairs() -> list[Any]:
        return [(fresh(n), {"n": n, "deep": {"x": [1]}}) for n in range(3)]

    def made_slow(a: Any, b: Any) -> Any:
        return made({"n": a["id"]}, b)

    waiting: list[Any] = []

    assert call(loops, made_slow, pairs(), waiting=waiting, joined=True)[2] == loops.WHOLE
    assert waiting == [made_slow(*pair) for pair in pairs()]


@pytest.mark.parametrize("keeps", ["an item", "a part of it", "a part of a part", "the result"])
@pytest.mark.parametrize(
    "made", [lambda a, b: {"a": a, "b": b}, lambda _, b: {"it": b["deep"]}, lambda _, b: b]
)
def test_what_is_kept_of_a_pair_or_of_its_result_may_still_be_changed(
    loops: Any, keeps: str, made: Callable[[Any, Any], Any]
) -> None:
    kept: list[Any] = []

    def make(a: Any, b: Any) -> Any:
        result = made(a, b)
        parts = {
            "an item": b,
            "a part of it": b["deep"],
            "a part of a part": b["deep"]["x"],
            "the result": result,
        }
        kept.append(parts[keeps])
        return result

    answered = call(loops, make, [(fresh(0), {"deep": {"x": [1]}})], joined=True)

    assert answered[:3] == (0, 0, loops.OTHER)


def test_the_same_object_on_both_sides_of_a_pair_is_left_alone(loops: Any) -> None:
    item = [bytearray(1)]

    assert call(loops, lambda a, _: a, [(item, item)], joined=True)[4] is False


# -- call


def test_a_part_of_a_row_is_called_and_noted(loops: Any) -> None:
    marks, seen = marks_of(range(20, 26), 2), []

    def note(item: int) -> int:
        seen.append((item, marks.row[marks.last], begun(marks.row)))
        return item

    assert call(loops, note, [0, 1, 2, 3, 4, 5], at=2, stop=5, marks=marks)[:3] == (5, 0, 0)
    assert seen == [(2, 22, 1), (3, 23, 2), (4, 24, 3)]


def test_in_a_row_with_gaps_what_was_begun_is_counted(loops: Any) -> None:
    marks, seen, listed = marks_of([4, 9, 11], 1), [], [0]

    def note(item: int) -> int:
        seen.append((marks.row[marks.last], marks.row[ROW_BEGUN]))
        return item

    call(loops, note, [1, 2, 3], at=1, marks=marks, listed=listed)
    loops.call_only(note, [1, 2, 3], 1, 3, marks, False)

    assert seen == [(9, 1), (11, 2)] * 2
    assert listed == [0, 9, 11]


def test_a_call_that_gives_nothing_leaves_a_gap_where_ordinals_are_listed(loops: Any) -> None:
    def odd(item: int) -> int | None:
        return item if item % 2 else None

    listed = [0]
    waiting: list[int] = []
    whole = call(loops, odd, [1, 2, 3, 4], waiting=waiting, listed=listed)

    assert whole == (4, 2, loops.WHOLE, None, False)
    assert (waiting, listed) == ([1, 3], [0, 0, 2])
    assert call(loops, odd, [1, 2])[:3] == (1, 0, loops.OTHER), "they are not listed"
    assert call(loops, odd, [2], listed=[0], passes_none=False)[:3] == (0, 0, loops.OTHER)


def test_a_call_that_fails_is_told_by_its_place(loops: Any) -> None:
    items = [1, 2, 0, 3]

    at, empty, why, error, _ = call(loops, lambda item: 1 // item, items)
    only = loops.call_only(lambda item: 1 // item, items, 0, 4, marks_of(range(4)), False)

    assert (at, empty, why, type(error)) == (2, 0, loops.RAISED, ZeroDivisionError)
    assert (*only[:4], type(only[4])) == (2, 0, 2, loops.RAISED, ZeroDivisionError)


def test_the_second_thread_is_told_once_and_the_row_goes_on_behind(loops: Any) -> None:
    assert call(loops, fresh, [1, 2], woken=ASLEEP)[:3] == (1, 0, loops.UNSEEN)
    assert call(loops, fresh, [1, 2], at=1, woken=ASLEEP)[:3] == (2, 0, loops.UNSEEN)


def test_where_nobody_reads_results_are_counted(loops: Any) -> None:
    given = [None, 1, {"a": object()}, (), "text"]

    whole = loops.call_only(given.__getitem__, [0, 1, 2, 3, 4], 0, 5, marks_of(range(5)), False)

    assert whole == (5, 1, 4, loops.WHOLE, None, False)


def test_where_nobody_reads_what_may_be_many_ends_the_stretch(loops: Any) -> None:
    given: list[Any] = [1, iter(())]

    at, empty, unread, why, result, alone = loops.call_only(
        given.__getitem__, [0, 1], 0, 2, marks_of(range(2)), False
    )

    assert (at, empty, unread, why, alone) == (1, 0, 1, loops.OTHER, False)
    assert result is given[1]
    assert loops.call_only(lambda _: iter(()), [0], 0, 1, marks_of(range(1)), False)[5] is True


def test_nothing_is_held_and_nothing_is_let_go_of_too_often(loops: Any) -> None:
    item, error = Changing(), ValueError("again")
    row = marks_of(range(3))

    def fail(_: Any) -> Any:
        raise error

    def sides() -> None:
        payloads = [item, item, item]
        call(loops, lambda it: it, payloads)
        call(loops, fail, payloads)
        loops.call_only(lambda it: it, payloads, 0, 3, row, False)
        loops.call_only(fail, payloads, 0, 3, row, False)
        take(loops, iter(payloads))
        take(loops, map(fail, payloads))

    def counts() -> tuple[int, ...]:
        error.__traceback__ = None
        gc.collect()
        return sys.getrefcount(item), sys.getrefcount(error), sys.getrefcount(row)

    sides()
    before = counts()
    for _ in range(20):
        sides()

    assert counts() == before


# -- they are alike

_MAKERS = [*SETTLED.values(), *OTHER.values()]
_SCRIPTS = st.lists(st.integers(-1, len(_MAKERS) - 1), min_size=1, max_size=12)


def _same(value: Any) -> Any:
    """What two results that were made alike have in common."""
    return type(value), value if isinstance(value, int | str | bytes | dict | list) else None


def _played(
    loops: Any, script: list[int], ordinals: range | list[int], *, listed: bool, passes_none: bool
) -> list[Any]:
    """All that can be seen of a row that goes on behind whatever ended a stretch."""

    def play(number: int) -> Any:
        if number < 0:
            raise KeyError(number)
        return _MAKERS[number]()

    told: list[Any] = []
    waiting: list[Any] = []
    noted = [7] if listed else None
    marks, at = marks_of(ordinals), 0
    while at < len(script):
        at, empty, why, value, alone = call(
            loops,
            play,
            script,
            at=at,
            marks=marks,
            waiting=waiting,
            listed=noted,
            passes_none=passes_none,
        )
        told.append((at, empty, why, type(value), alone, list(marks.row)))
        at += why in {loops.OTHER, loops.RAISED}
    at = 0
    while at < len(script):
        at, empty, unread, why, value, alone = loops.call_only(
            play, script, at, len(script), marks, False
        )
        told.append((at, empty, unread, why, type(value), alone, list(marks.row)))
        at += why in {loops.OTHER, loops.RAISED}
    items = map(play, script)
    while True:
        taken, why, value, alone = take(loops, items, waiting=waiting, listed=noted)
        told.append((taken, why, type(value), alone))
        if type(value) is StopIteration:
            return [*told, [_same(each) for each in waiting], noted]


@given(script=_SCRIPTS, gaps=st.booleans(), listed=st.booleans(), passes_none=st.booleans())
def test_compiled_loops_do_what_those_in_python_do(
    script: list[int], *, gaps: bool, listed: bool, passes_none: bool
) -> None:
    compiled, interpreted = map(stretches.load, reversed(stretches.ALL))
    ordinals = [3 * n for n in range(len(script))] if gaps else range(5, 5 + len(script))

    assert _played(compiled, script, ordinals, listed=listed, passes_none=passes_none) == _played(
        interpreted, script, ordinals, listed=listed, passes_none=passes_none
    )


_RECORDS = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        st.integers(), lambda inner: st.lists(inner, max_size=3) | st.tuples(inner), max_leaves=6
    ),
    min_size=1,
)


def containers_in(value: Any) -> list[Any]:
    """All that can be changed, or holds what can, in a value; itself too."""
    if not isinstance(value, dict | list | tuple):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(found for each in inner for found in containers_in(each))]


@pytest.mark.parametrize("kind", stretches.ALL)
@given(record=_RECORDS, data=st.data())
def test_what_waits_holds_nothing_that_the_user_could_still_change(
    kind: str, record: dict[str, Any], data: st.DataObject
) -> None:
    loops, kept = stretches.load(kind), []
    waiting: list[Any] = []
    parts = st.integers(0, len(containers_in(record)) - 1)
    taken, wraps = data.draw(st.lists(parts, max_size=3)), data.draw(st.sampled_from([list, tuple]))
    keeps = data.draw(st.none() | st.integers(0, 20))

    def make(item: Any) -> Any:
        result = wraps(containers_in(item)[part] for part in taken)
        if keeps is not None:
            choice = containers_in(item) + containers_in(result)
            kept.append(choice[keeps % len(choice)])
        return result

    items = [copy.deepcopy(record)]
    del record
    call(loops, make, items, waiting=waiting)

    reached = [id(each) for each in containers_in(waiting[0])] if waiting else []
    changeable = [each for each in kept if not isinstance(each, tuple)]
    assert not {id(each) for each in changeable}.intersection(reached)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda loops: loops.call_only(fresh, (1,), 0, 1, marks_of(range(1)), False),
        lambda loops: loops.call_only(fresh, [1], 0, 1, (new_row(), 10**9, 0, 0, range(1)), False),
        lambda loops: loops.call_only(fresh, [1], 0, 1, (b"", 0, 0, 0, range(1)), False),
        lambda loops: loops.call_only(fresh, [1, 2], 0, 2, marks_of([4]), False),
        lambda loops: loops.call_only(fresh, [1], 0, 1, marks_of(range(1)), True),
        lambda loops: loops.call_only(fresh, [1]),
        lambda loops: loops.take(5, 1, [], None, 0, 1, AWAKE, GO_ON, bytearray(1)),
        lambda loops: loops.take(iter("a"), 1, [], None, 0, 1, AWAKE, GO_ON, b""),
    ],
)
def test_a_mistake_of_ours_is_an_exception_in_compiled_loops_too(
    wrong: Callable[[Any], Any],
) -> None:
    with pytest.raises((TypeError, IndexError)):
        wrong(stretches.load("_compiled"))


def test_the_compiled_loops_are_used_where_there_are_any() -> None:
    compiled = stretches.load("_compiled")

    assert stretch.COMPILED
    assert stretch.call is compiled.call


class Odd:
    """Stands for a list: it takes odd numbers only."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def append(self, number: int) -> None:
        if not number % 2:
            raise LookupError(f"{number} is even")
        self.taken.append(number)


def test_what_stands_for_the_list_decides_and_what_it_raises_ends_the_stretch(loops: Any) -> None:
    odd, asking = Odd(), bytearray(1)

    taken, why, error, _ = take(loops, iter([1, 3, 4, 5]), waiting=odd, asking=asking)
    at, empty, called, raised, _ = call(
        loops, lambda number: number, [7, None, 8, 9], waiting=odd, listed=[], passes_none=True
    )

    assert (taken, why, str(error)) == (2, loops.RAISED, "4 is even")
    assert (at, empty, called, str(raised)) == (2, 1, loops.RAISED, "8 is even")
    assert odd.taken == [1, 3, 7]
    assert not asking[0]


def test_what_stands_for_the_list_is_no_part_of_asking_the_iterator(loops: Any) -> None:
    asking, seen = bytearray(1), list[int]()

    class Looks:
        def append(self, _item: int) -> None:
            seen.append(asking[0])

    take(loops, iter([1, 2]), waiting=Looks(), asking=asking)

    assert seen == [0, 0]
