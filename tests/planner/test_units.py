"""Routes, numbering, lanes, parts and order of a plan, by example."""

from __future__ import annotations

import pytest

from pipeflow.errors import InvalidPipeline
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import Join, Numbering, Parts, Plan, Route
from pipeflow.spec.pipeline import Pipeline, Stage
from pipeflow.spec.policies import Broadcast, ByKey, Overflow, TransportKind
from tests.planner.building import FLAT_MAP, MACHINE, SAVE, pipeline, stage, the_edge, the_stage


def planned(*stages: Stage) -> Plan:
    return make_plan(pipeline(*stages), MACHINE)


def route(plan: Plan, source: str, target: str) -> Route:
    return the_edge(plan, source, target).route


def test_one_worker_numbers_its_results_and_replicas_keep_the_numbers() -> None:
    plan = planned(stage("find"), stage("work", "find", replicas=3), stage("save", "work", SAVE))

    assert [each.numbering for each in plan.stages] == [
        Numbering.PER_PORT,
        Numbering.KEEP,
        Numbering.PER_PORT,
    ]
    assert route(plan, "find", "work") is Route.BALANCE
    assert route(plan, "work", "save") is Route.SINGLE
    assert all(edge.ordered and edge.parts is Parts.ONE for edge in plan.edges)


def test_as_many_readers_as_writers_are_aligned() -> None:
    plan = planned(
        stage("find"), stage("a", "find", replicas=3), stage("b", "a", replicas=3), stage("c", "b")
    )

    assert route(plan, "a", "b") is Route.ALIGNED


def test_other_numbers_of_readers_take_units_in_turn() -> None:
    plan = planned(stage("find"), stage("a", "find", replicas=3), stage("b", "a", replicas=2))

    assert route(plan, "a", "b") is Route.BY_UNIT


def test_where_order_is_given_up_whoever_has_room_takes_from_a_queue() -> None:
    plan = planned(
        stage("find"),
        stage("a", "find", replicas=3, ordered=False),
        stage("b", "a", replicas=2),
        stage("c", "b", replicas=4),
        stage("d", "c", SAVE),
    )

    assert route(plan, "a", "b") is Route.ANY
    assert the_edge(plan, "a", "b").transport is TransportKind.QUEUE
    # b keeps units that come to it in no order, so what it sends has none either.
    assert route(plan, "b", "c") is Route.ANY
    assert [edge.ordered for edge in plan.edges] == [True, False, False, False]


def test_one_worker_that_says_unordered_changes_nothing() -> None:
    plan = planned(stage("find"), stage("a", "find", ordered=False), stage("b", "a", SAVE))

    assert all(edge.ordered for edge in plan.edges)


@pytest.mark.parametrize(
    ("partition", "expected"), [(ByKey("item"), Route.KEY), (Broadcast(), Route.BROADCAST)]
)
def test_replicas_that_all_see_a_unit_give_it_in_parts(
    partition: ByKey | Broadcast, expected: Route
) -> None:
    plan = planned(
        stage("find"),
        stage("shard", "find", replicas=2, partition=partition),
        stage("same", "shard", replicas=2),
        stage("other", "same", replicas=3),
        stage("save", "other", SAVE),
    )

    assert route(plan, "find", "shard") is expected
    assert [edge.parts for edge in plan.edges] == [
        Parts.ONE,  # one writer
        Parts.EACH,  # every replica of shard gives its share of each unit
        Parts.EACH,  # worker to worker: still only a share
        Parts.ONE,  # other got whole units, in turn
    ]
    assert route(plan, "shard", "same") is Route.ALIGNED
    assert route(plan, "same", "other") is Route.BY_UNIT


def test_parts_of_a_unit_never_go_to_whoever_has_room() -> None:
    plan = planned(
        stage("find"),
        stage("shard", "find", replicas=2, partition=ByKey("item"), ordered=False),
        stage("work", "shard", replicas=3),
    )

    assert route(plan, "shard", "work") is Route.BY_UNIT


def test_keyed_and_broadcast_readers_count_the_items_of_kept_units_anew() -> None:
    plan = planned(
        stage("find"),
        stage("many", "find", FLAT_MAP, replicas=2),
        stage("keyed", "many", replicas=2, partition=ByKey("item")),
        stage("all", "keyed", replicas=2, partition=Broadcast()),
        stage("save", "all", SAVE),
    )

    recounted = {plan.stages[edge.target].name: edge.recounted for edge in plan.edges}
    assert recounted == {"many": False, "keyed": True, "all": True, "save": False}


def test_nothing_is_counted_anew_where_arrival_decides_or_a_zip_needs_the_old_numbers() -> None:
    as_it_comes = planned(
        stage("find"),
        stage("many", "find", FLAT_MAP, replicas=2, ordered=False),
        stage("keyed", "many", SAVE, replicas=2, partition=ByKey("item")),
    )
    dropping = planned(
        stage("find"),
        stage("many", "find", FLAT_MAP, replicas=2),
        stage(
            "keyed",
            "many",
            SAVE,
            replicas=2,
            partition=ByKey("item"),
            edge={"overflow": Overflow.DROP_NEWEST},
        ),
    )
    zipped = planned(
        stage("find"),
        stage("split", "find", replicas=2),
        stage("keyed", "split", replicas=2, partition=ByKey("item")),
        stage("pair", {"a": "split", "b": "keyed"}),
    )

    for plan in (as_it_comes, dropping, zipped):
        assert not any(edge.recounted for edge in plan.edges)


def test_only_a_route_by_key_bears_the_key() -> None:
    plan = planned(
        stage("find"),
        stage("alone", "find", partition=ByKey("item.a")),
        stage("shard", "find", partition=ByKey("item.b"), replicas=2),
    )

    assert [edge.key for edge in plan.edges] == ["", "item.b"]


def test_merged_inputs_of_replicas_are_lanes_of_their_own() -> None:
    plan = planned(
        stage("one"),
        stage("two"),
        stage("work", ["one", "two"], replicas=2),
        stage("three", replicas=1),
        stage("more", ["three", "work"], replicas=2),
        stage("save", "more", SAVE),
    )

    assert [(each.lane_base, each.lanes) for each in plan.edges] == [
        (0, 1),
        (1, 1),
        (0, 1),
        (1, 2),
        (0, 3),
    ]
    # As many workers as above, but two inputs: lanes of different edges must meet in one replica.
    assert route(plan, "work", "more") is Route.BY_UNIT


def test_one_worker_makes_one_lane_of_many() -> None:
    plan = planned(
        stage("one"),
        stage("two"),
        stage("work", ["one", "two"], replicas=2),
        stage("alone", "work"),
        stage("save", "alone", SAVE),
    )

    assert the_edge(plan, "work", "alone").lanes == 2
    assert the_edge(plan, "alone", "save").lanes == 1


def test_stages_between_a_split_and_its_zip_keep_the_numbers_of_the_split() -> None:
    plan = planned(
        stage("find"),
        stage("load", "find"),
        stage("left", "load"),
        stage("right", "load", replicas=2, ordered=False),
        stage("pair", {"a": "left", "b": "right"}, replicas=2),
        stage("save", "pair", SAVE),
    )

    assert [each.numbering for each in plan.stages] == [
        Numbering.PER_PORT,
        Numbering.PER_STAGE,
        Numbering.KEEP,
        Numbering.KEEP,
        Numbering.KEEP,
        Numbering.PER_PORT,
    ]
    assert the_stage(plan, "pair").join is Join.ZIP_BY_ID
    assert the_stage(plan, "pair").ports == ("out", "unmatched")
    inputs = [plan.edges[number] for number in the_stage(plan, "pair").edges_in]
    assert [(each.input, each.route, each.lane_base, each.ordered) for each in inputs] == [
        ("a", Route.BY_UNIT, 0, True),
        ("b", Route.BY_UNIT, 0, True),
    ]


def test_what_feeds_a_zip_by_id_gets_its_units_in_order() -> None:
    plan = planned(
        stage("find"),
        stage("early", "find", replicas=2, ordered=False),
        stage("split", "early", FLAT_MAP, replicas=3),
        stage("left", "split"),
        stage("pair", {"a": "left", "b": "split"}, SAVE),
        stage("aside", "early", SAVE),
    )

    # split sends in order, so it must get in order: early cannot send as it comes.
    assert all(edge.ordered for edge in plan.edges)
    note, *_ = plan.notes
    assert note.startswith("stage 'early' keeps the order although it says `ordered: false`")


def test_a_zip_by_position_holds_its_inputs_side_by_side() -> None:
    plan = planned(
        stage("numbers"),
        stage("letters"),
        stage("pair", {"n": "numbers", "l": "letters"}, replicas=3),
        stage("save", "pair", SAVE),
    )

    assert the_stage(plan, "pair").join is Join.ZIP_BY_POSITION
    assert [edge.route for edge in plan.edges] == [Route.BY_UNIT, Route.BY_UNIT, Route.SINGLE]
    assert [edge.lane_base for edge in plan.edges] == [0, 0, 0]
    assert the_edge(plan, "pair", "save").lanes == 1


def test_a_zip_by_position_that_says_auto_has_one_worker_behind_replicas() -> None:
    plan = planned(
        stage("numbers"),
        stage("letters"),
        stage("work", "numbers", replicas=2),
        stage("pair", {"n": "work", "l": "letters"}, replicas=None),
        stage("save", "pair", SAVE),
    )

    assert the_stage(plan, "pair").replicas == 1


def test_a_zip_takes_the_lanes_of_its_split() -> None:
    plan = planned(
        stage("one"),
        stage("two"),
        stage("split", ["one", "two"], replicas=2),
        stage("left", "split", replicas=3),
        stage("pair", {"a": "left", "b": "split"}, replicas=2),
        stage("save", "pair", SAVE),
    )

    assert [edge.lanes for edge in plan.edges] == [1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("asked", [TransportKind.PIPE, TransportKind.QUEUE])
def test_the_file_may_choose_the_transport(asked: TransportKind) -> None:
    plan = planned(
        stage("find"),
        stage("a", "find", replicas=3, ordered=False, edge={"transport": asked}),
        stage("b", "a", replicas=2, edge={"transport": asked}),
    )

    assert [edge.transport for edge in plan.edges] == [asked, asked]


def test_lanes_that_would_multiply_without_end_are_refused() -> None:
    layers: list[Stage] = [stage("s0"), stage("m0", "s0", replicas=2)]
    for number in range(1, 12):
        above = f"m{number - 1}"
        layers += [
            stage(f"a{number}", above, replicas=2),
            stage(f"b{number}", above, replicas=2),
            stage(f"m{number}", [f"a{number}", f"b{number}"], replicas=2),
        ]

    findings = _refusals(pipeline(*layers, stage("save", "m11", SAVE)))

    assert findings[0] == (
        "too-many-lanes",
        "stage 'm11' would keep the order of 2048 merged streams apart; the most is 1024",
    )


def _refusals(wrong: Pipeline) -> list[tuple[str, str]]:
    with pytest.raises(InvalidPipeline) as caught:
        make_plan(wrong, MACHINE)
    return [(finding.code, finding.problem) for finding in caught.value.findings]
