"""What a keeper gives its runner of frames that neither it nor anybody else has opened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pipeflow.runtime.flow.joins import Call, Lone, Origin
from pipeflow.runtime.isolation.docket import Docket
from pipeflow.runtime.isolation.entries import Entry
from pipeflow.runtime.isolation.messages import FrameOrder, Order, Pair, Place
from pipeflow.runtime.isolation.opening import Frames
from pipeflow.runtime.isolation.sealed import (
    Needs,
    Sealed,
    SealedFrame,
    deaths_of,
    row_of_deaths,
    tries_of,
)
from pipeflow.runtime.messages import Failure
from pipeflow.transports.codec import Decoder, Encoder

FAILED = Failure(phase="death", kind="WorkerDied", message="it was ended")


def frame(number: int, *items: Any) -> SealedFrame:
    return SealedFrame(number, Encoder().encode(list(items)), ())


def call(number: int, *parts: Sealed, own: tuple[int, ...] | None = None) -> Call:
    """A call of a pair; ``own``: the inputs whose items it is the first to have."""
    ports = range(len(parts)) if own is None else own
    return Call(parts, (0, number), 0, number, tuple([Origin(port, 0, None) for port in ports]))


def given(
    calls: list[Call], runner: int = 1, *, again: bool = False, anew: bool = True
) -> tuple[list[Order], dict[int, int]]:
    """Orders for some calls, and how many items of each frame that came will be asked for."""
    needs = Needs(runner, again=again, anew=anew)
    orders = [Entry.of(each).order(needs) for each in calls]
    return orders, {order.number: order.left for order in needs.frames()}


def places(orders: list[Any]) -> list[tuple[Place | None, ...]]:
    return [order.place.places for order in orders]


def frames_of(*frames: SealedFrame, shares: bool) -> Frames:
    link: Any = SimpleNamespace(begin_loading=lambda *_: None, end_loading=lambda: None)
    found = Frames(link, Decoder(), shares=shares)
    for each in frames:
        left = each.packet.items
        found.add(FrameOrder(each.number, each.packet, left, singly=False, lost=(), private=False))
    return found


def test_each_item_of_a_pair_has_its_place() -> None:
    left, right = frame(0, "a", "b"), frame(1, "x", "y", "z")

    orders, asked = given([call(0, Sealed(left, 0), Sealed(right, 1))])

    assert places(orders) == [(Place(0, 0), Place(1, 1))]
    assert asked == {0: 2, 1: 3}
    assert given([call(1, Sealed(left, 1), Sealed(right, 2))], anew=False)[1] == {}


def test_what_a_call_shares_with_the_one_before_is_asked_for_once_by_each_runner() -> None:
    first, newest = frame(0, "a", "b", "c"), frame(1, "x", "y")
    shared = [Sealed(newest, 0)]
    calls = [
        call(0, Sealed(first, 0), *shared),
        call(1, Sealed(first, 1), *shared, own=(0,)),
    ]

    orders, asked = given(calls)
    after_its_death, asked_again = given(calls[1:], runner=2, again=True)
    later, asked_later = given([call(2, Sealed(first, 2), Sealed(newest, 1))], runner=2, anew=False)

    assert places(orders) == [(Place(0, 0), Place(1, 0)), (Place(0, 1), None)]
    assert asked == {0: 3, 1: 2}
    assert places(after_its_death) == [(Place(0, 1), Place(1, 0))]
    # Two that were not given to anybody yet, and the one that is given again.
    assert asked_again == {0: 2, 1: 2}
    assert places(later) == [(Place(0, 2), Place(1, 1))]
    assert asked_later == {}


def test_the_newest_is_asked_for_anew_though_nothing_was_left_when_the_runner_died() -> None:
    first, newest = frame(0, "a", "b"), frame(1, "x", "y")
    given([call(0, Sealed(first, 0), Sealed(newest, 0))])

    orders, asked = given([call(1, Sealed(first, 1), Sealed(newest, 0), own=(0,))], runner=2)

    assert places(orders) == [(Place(0, 1), Place(1, 0))]
    assert asked == {0: 1, 1: 2}


def test_a_runner_keeps_what_the_next_call_may_share() -> None:
    frames = frames_of(frame(0, "a", "b"), frame(1, "x"), shares=True)

    pairs = [
        frames.take_pair(Pair((Place(0, 0), Place(1, 0)))),
        frames.take_pair(Pair((Place(0, 1), None))),
    ]

    assert pairs == [("a", "x"), ("b", "x")]


def test_tries_of_a_pair_are_those_of_all_its_items_but_not_of_what_it_shares() -> None:
    left, right = frame(0, "a"), frame(1, "x")
    left.tries[0], right.tries[0] = 1, 2
    pair = (Sealed(left, 0), Sealed(right, 0))

    assert tries_of(call(0, *pair), pair[0]) == 3
    assert tries_of(call(0, *pair, own=(0,)), pair[0]) == 1
    assert tries_of(call(0, *pair, own=(0,)), pair[1]) == 3


def test_with_an_item_that_several_calls_share_all_of_them_fail_also_those_to_come() -> None:
    first, newest = frame(0, "a", "b", "c"), frame(1, "x", "y")
    pairs = [call(at, Sealed(first, at), Sealed(newest, 0)) for at in range(3)]
    docket = Docket()
    docket.add(pairs[:2])
    item, torn, failed = docket.find(1, 0)

    newest.lost[0] = FAILED
    docket.fail(item, FAILED)
    later = docket.add([pairs[2], call(3, Sealed(first, 2), Sealed(newest, 1))])

    assert (item, torn, failed) == (Sealed(newest, 0), pairs[0], False)
    assert [each.failure for each in docket.restart(tried=None)] == [FAILED] * 3 + [None]
    assert [each.failure for each in later] == [FAILED, None]
    later[0].name(("find",))
    assert later[0].failure is not None
    assert later[0].failure.item == "find:2"


def test_an_item_may_end_its_loader_before_it_is_due() -> None:
    """A frame is loaded for the first of its items; others may wait for a partner meanwhile."""
    left, right = frame(0, "a", "b"), frame(1, "x")
    docket = Docket()
    docket.add([call(0, Sealed(left, 0), Sealed(right, 0))])

    assert docket.find(0, 1) == (Sealed(left, 1), None, False)


def test_what_has_no_partner_and_cannot_be_loaded_is_done_with_as_a_call_is() -> None:
    left = frame(0, "a", "b", "c")
    lones = [Lone(Sealed(left, at), (0, at), 0, at, Origin(0, 0, None)) for at in range(3)]
    docket = Docket()
    docket.add([lones[0], lones[1], call(2, Sealed(left, 2))])

    docket.pass_by(Lone)
    docket.fail_lone()
    docket.settle(1)

    (failed,) = docket.failed_lones()
    assert (failed.id, failed.payload, len(failed.origins)) == ((0, 1), lones[1].payload, 1)
    assert docket.failed_lones() == []
    assert len(docket) == 1


def test_what_has_no_partner_and_was_not_done_when_its_runner_died_is_given_again() -> None:
    left = frame(0, "a")
    lone = Lone(Sealed(left, 0), (0, 0), 0, 0, Origin(0, 0, None))
    docket = Docket()
    docket.add([lone])

    docket.fail_lone()
    docket.restart(tried=None)

    assert docket.pass_by(Lone) is lone
    assert docket.failed_lones() == []


def test_a_row_of_deaths_begins_behind_the_last_item_that_could_be_loaded() -> None:
    row = frame(1, *range(8))
    row.deaths = {1: 1, 3: 2, 4: 1, 6: 1}
    row.lost = {1: FAILED, 3: FAILED, 4: FAILED, 5: FAILED}

    assert row_of_deaths(Sealed(row, 1)) == (1, 1)
    assert row_of_deaths(Sealed(row, 6)) == (3, 4)


def test_deaths_of_an_item_that_several_calls_have_count_once() -> None:
    one, other = frame(1, "a"), frame(2, "b")
    one.deaths = {0: 3}

    pair = (Sealed(one, 0), Sealed(other, 0))
    assert [deaths_of(pair), deaths_of(pair)] == [3, 0]
