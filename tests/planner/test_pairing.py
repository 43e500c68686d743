"""What bounds joins by key and of the latest, and how their inputs come to them."""

from __future__ import annotations

from typing import Any

import pytest

from pipeflow.errors import errors_of
from pipeflow.planner.checks import check
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Join, Numbering, Pairing, Parts, Plan, Route
from pipeflow.spec.pipeline import Stage
from pipeflow.spec.policies import KeyedInputs, LatestInputs, Overflow
from tests.planner.building import (
    FLAT_MAP,
    MACHINE,
    SAVE,
    STATEFUL,
    STREAM,
    pipeline,
    stage,
    the_edge,
    the_stage,
)
from tests.planner.judging import codes

KEYED = KeyedInputs(expressions={"a": "item.x", "b": "item.y"})


def plan(*stages: Stage) -> Plan:
    return make_plan(pipeline(*stages), MACHINE)


def pairing(*stages: Stage) -> Pairing | None:
    return the_stage(plan(*stages), "pair").pairing


def two(*more: Stage, **settings: Any) -> tuple[Stage, ...]:
    """A join of two sources that have nothing to do with each other."""
    return (
        stage("left"),
        stage("right"),
        stage("pair", {"a": "left", "b": "right"}, **settings),
        stage("save", "pair", SAVE),
        *more,
    )


def test_where_inputs_have_nothing_to_do_with_each_other_the_one_ahead_waits() -> None:
    assert pairing(*two(join=KEYED)) == Pairing(items=1000)
    assert pairing(*two(join=LatestInputs())) == Pairing()


@pytest.mark.parametrize(
    "link",
    [
        (stage("both", {"p": "left", "q": "right"}, SAVE),),
        (stage("both", ["left", "right"], SAVE),),
        (stage("deep", "left"), stage("both", ["deep", "save2"], SAVE), stage("save2", "pair")),
    ],
    ids=["a zip", "a merge", "what reads the join"],
)
def test_where_they_are_linked_the_join_looks_ahead(link: tuple[Stage, ...]) -> None:
    assert pairing(*two(*link, join=KEYED)) == Pairing(items=1000, ahead=1000)


def test_who_never_waits_is_looked_at() -> None:
    found = pairing(
        stage("left"),
        stage("right"),
        stage(
            "pair", {"a": "left", "b": "right"}, join=KEYED, edge={"overflow": Overflow.DROP_OLDEST}
        ),
        stage("save", "pair", SAVE),
    )

    assert found == Pairing(items=1000, ahead=1000)


@pytest.mark.parametrize("between", [FLAT_MAP, STREAM])
def test_ways_from_one_stage_may_hold_what_a_zip_refuses(between: object) -> None:
    found = pairing(
        stage("find"),
        stage("odd", "find", between),  # type: ignore[arg-type]
        stage("pair", {"a": "find", "b": "odd"}, join=KEYED),
        stage("save", "pair", SAVE),
    )

    assert found == Pairing(items=1000, ahead=1000)


def test_how_far_it_looks_ahead_follows_the_bound() -> None:
    wide = KeyedInputs(expressions=KEYED.expressions, items=5000)
    narrow = KeyedInputs(expressions=KEYED.expressions, items=3)

    assert pairing(*two(join=wide, replicas=2)) == Pairing(items=5000, ahead=5000)
    assert pairing(*two(join=narrow, replicas=2)) == Pairing(items=3, ahead=1000)


def test_a_bound_in_time_waits_for_nobody() -> None:
    timed = KeyedInputs(expressions=KEYED.expressions, items=None, seconds=5.0)

    assert pairing(*two(join=timed)) == Pairing(seconds=5.0)


def test_replicas_that_join_by_key_get_what_is_theirs_of_each_input() -> None:
    made = plan(*two(join=KEYED, replicas=2))

    left, right = the_edge(made, "left", "pair"), the_edge(made, "right", "pair")
    assert (left.route, left.key) == (Route.KEY, "item.x")
    assert (right.route, right.key) == (Route.KEY, "item.y")


def test_each_replica_that_joins_by_key_is_a_lane_of_its_own() -> None:
    made = plan(*two(join=KEYED, replicas=3))

    edge = the_edge(made, "pair", "save")
    assert the_stage(made, "pair").numbering is Numbering.KEEP
    assert (edge.lanes, edge.parts) == (3, Parts.ONE)


def test_of_the_latest_the_first_input_is_spread_and_the_others_go_to_all() -> None:
    made = plan(*two(join=LatestInputs(), replicas=2))

    assert the_stage(made, "pair").join is Join.LATEST
    assert the_edge(made, "left", "pair").route is Route.BALANCE
    assert the_edge(made, "right", "pair").route is Route.BROADCAST
    edge = the_edge(made, "pair", "save")
    assert (edge.lanes, edge.parts) == (1, Parts.ONE)


def test_what_is_superseded_has_one_teller_if_it_is_read() -> None:
    reader = stage("old", "pair.unmatched", SAVE)

    asked = pipeline(*two(reader, join=LatestInputs(), replicas=2))
    auto = plan(*two(reader, join=LatestInputs(), replicas=None, replicas_given=False))

    assert codes(asked) == ["join-replicas"]
    assert the_stage(auto, "pair").replicas == 1


def test_a_join_that_keeps_state_has_one_replica() -> None:
    wrong = pipeline(
        stage("left"),
        stage("right"),
        stage("pair", {"a": "left", "b": "right"}, STATEFUL, join=KEYED, replicas=2),
        stage("save", "pair", SAVE),
    )

    (finding,) = errors_of(check(wrong))
    assert finding.code == "stateful-replicas"
    assert "partition" not in finding.hint
