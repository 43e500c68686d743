"""Which inputs pair by id, which by position, and which are refused."""

from __future__ import annotations

import pytest

from pipeflow.planner.graph import network
from pipeflow.planner.joins import Zip, find_zips
from pipeflow.spec.pipeline import Pipeline, Stage
from pipeflow.spec.policies import Broadcast, ByKey, KeyedInputs, OnError, Overflow
from pipeflow.spec.stage_type import CallFacts
from tests.planner.building import (
    FILES,
    FILTER,
    FLAT_MAP,
    MAP,
    SAVE,
    STATEFUL,
    STREAM,
    UNKNOWN,
    pipeline,
    stage,
)
from tests.planner.judging import codes, errors

KEYED = KeyedInputs(expressions={"a": "item", "b": "item"})


def zip_of(checked: Pipeline, name: str = "pair") -> Zip:
    return find_zips(network(checked)).by_stage[name]


def test_two_ports_of_one_stage_pair_by_id() -> None:
    sound = pipeline(
        stage("find"),
        stage("segment", "find", outputs=("masks",)),
        stage("pair", {"image": "segment", "mask": "segment.masks"}, SAVE),
    )

    assert zip_of(sound) == Zip(stage="pair", split="segment")
    assert codes(sound) == []


def test_branches_of_one_to_one_stages_pair_by_id_from_the_nearest_stage_that_feeds_both() -> None:
    sound = pipeline(
        stage("find"),
        stage("load", "find"),
        stage("left", "load", FILTER),
        stage("right", "load", UNKNOWN, on_error=OnError.SKIP),
        stage("deeper", "right"),
        stage("pair", {"a": "left", "b": "deeper", "c": "load"}, SAVE),
    )

    assert zip_of(sound) == Zip(
        stage="pair", split="load", between=frozenset({"left", "right", "deeper"})
    )
    assert codes(sound) == []


def test_drops_on_the_way_to_a_zip_by_id_are_allowed() -> None:
    sound = pipeline(
        stage("find"),
        stage("left", "find", edge={"overflow": Overflow.DROP_OLDEST}),
        stage("pair", {"a": "find", "b": "left"}, SAVE, edge={"overflow": Overflow.DROP_NEWEST}),
    )

    assert codes(sound) == []


def test_a_flat_map_may_be_the_split() -> None:
    sound = pipeline(
        stage("find"),
        stage("words", "find", FLAT_MAP),
        stage("left", "words"),
        stage("pair", {"a": "words", "b": "left"}, SAVE),
    )

    assert zip_of(sound).split == "words"
    assert codes(sound) == []


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (stage("odd", "find", FLAT_MAP), "gives any number of results for an item"),
        (stage("odd", "find", STREAM), "is a stream function, which counts its results anew"),
        (stage("odd", "find", STATEFUL), "keeps state and gives results of its own at the end"),
        (stage("odd", ["find", "more"]), "merges several inputs"),
        (stage("odd", {"p": "find", "q": "find"}), "joins inputs itself"),
        (
            stage("odd", "find", replicas=2, partition=Broadcast()),
            "gives every item to all of its replicas",
        ),
    ],
    ids=["flat-map", "stream", "finish", "merge", "join", "broadcast"],
)
def test_only_one_to_one_stages_may_lie_between_the_split_and_the_zip(
    between: Stage, reason: str
) -> None:
    wrong = pipeline(
        stage("find"),
        stage("more"),
        between,
        stage("after", "odd"),
        stage("pair", {"a": "find", "b": "after"}, SAVE),
        stage("rest", "more", SAVE),
    )

    (finding,) = errors(wrong)
    assert finding.code == "join-not-one-to-one"
    assert finding.problem == (
        f"stage 'pair' pairs 'a', 'b' by item id, but 'odd' on the way to 'b' {reason}"
    )
    assert (finding.at.line, finding.at.column) == (6, 52)
    assert "`join: {key: …}`" in finding.hint


def test_replicas_that_join_by_key_have_no_order_that_positions_could_follow() -> None:
    def by_key(replicas: int) -> Pipeline:
        return pipeline(
            stage("find"),
            stage("more"),
            stage("other"),
            stage("keyed", {"a": "find", "b": "more"}, join=KEYED, replicas=replicas),
            stage("pair", {"a": "keyed", "b": "other"}, SAVE),
        )

    assert codes(by_key(1)) == []
    assert codes(by_key(2)) == ["join-unordered"]


def test_many_results_that_a_key_spreads_on_the_way_to_a_zip_come_in_another_order() -> None:
    def zipped(many: CallFacts, replicas: int, keyed: int) -> Pipeline:
        return pipeline(
            stage("find"),
            stage("many", "find", many, replicas=replicas),
            stage("step", "many", replicas=2),
            stage("a", "step", replicas=keyed, partition=ByKey("item")),
            stage("b", "step", replicas=2),
            stage("pair", {"a": "a", "b": "b"}, SAVE),
        )

    assert codes(zipped(FLAT_MAP, 2, 2)) == ["join-unordered"]
    assert codes(zipped(FLAT_MAP, 1, 2)) == []
    assert codes(zipped(FLAT_MAP, 2, 1)) == []
    assert codes(zipped(MAP, 2, 2)) == []


def test_a_replicated_broadcast_above_the_split_would_repeat_ids() -> None:
    wrong = pipeline(
        stage("find"),
        stage("all", "find", replicas=2, partition=Broadcast()),
        stage("work", "all", replicas=2),
        stage("pair", {"a": "work", "b": "work"}, SAVE),
    )
    right = pipeline(
        stage("find"),
        stage("all", "find", replicas=2, partition=Broadcast()),
        stage("work", "all"),
        stage("pair", {"a": "work", "b": "work"}, SAVE),
    )

    assert codes(wrong) == ["join-repeated-ids"]
    assert codes(right) == []


def test_different_sources_pair_by_position() -> None:
    sound = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("squares", "numbers", FLAT_MAP),
        stage("pair", {"n": "squares", "l": "letters"}, SAVE),
    )

    assert zip_of(sound) == Zip(stage="pair")
    assert codes(sound) == []


@pytest.mark.parametrize(
    ("dropper", "reason"),
    [
        (stage("odd", "numbers", FILTER), "'odd' may drop items"),
        (
            stage("odd", "numbers", on_error=OnError.SKIP),
            "'odd' may drop items (`on_error: skip`)",
        ),
        (
            stage("odd", "numbers", edge={"overflow": Overflow.DROP_OLDEST}),
            "the edge from 'numbers' to 'odd' says `overflow: drop_oldest`",
        ),
    ],
    ids=["filter", "skip", "overflow"],
)
def test_nothing_may_drop_on_the_way_to_a_zip_by_position(dropper: Stage, reason: str) -> None:
    wrong = pipeline(
        stage("numbers"),
        stage("letters"),
        dropper,
        stage("after", "odd"),
        stage("pair", {"n": "after", "l": "letters"}, SAVE),
    )

    (finding,) = errors(wrong)
    assert finding.code == "join-drops"
    assert finding.problem == (
        "stage 'pair' pairs 'n', 'l' by position, since they come from different sources, but "
        + reason
    )
    assert (finding.at.line, finding.at.column) == (6, 51)


def test_an_edge_into_a_zip_by_position_may_not_drop() -> None:
    wrong = pipeline(
        stage("numbers"),
        stage("letters"),
        stage(
            "pair",
            {"n": "numbers", "l": "letters"},
            SAVE,
            edge={"overflow": Overflow.DROP_NEWEST},
        ),
    )

    assert codes(wrong) == ["join-drops", "join-drops"]


def test_a_source_that_passes_over_bad_records_drops_too() -> None:
    wrong = pipeline(
        stage("rows", "", FILES, on_error=OnError.SKIP),
        stage("letters"),
        stage("pair", {"n": "rows", "l": "letters"}, SAVE),
    )

    assert codes(wrong) == ["join-drops"]


def test_a_position_needs_an_order() -> None:
    wrong = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("work", "numbers", replicas=None, ordered=False),
        stage("more", "work", replicas=2),
        stage("pair", {"n": "more", "l": "letters"}, SAVE),
    )
    right = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("work", "numbers", replicas=2, ordered=False),
        stage("more", "work"),
        stage("pair", {"n": "more", "l": "letters"}, SAVE),
    )

    (finding,) = errors(wrong)
    assert finding.code == "join-unordered"
    assert "'work' says `ordered: false`" in finding.problem
    assert codes(right) == []


def test_replicas_pair_by_position_only_what_single_workers_number() -> None:
    right = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("pair", {"n": "numbers", "l": "letters"}, SAVE, replicas=3),
    )
    wrong = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("work", "numbers", replicas=2),
        stage("pair", {"n": "work", "l": "letters"}, SAVE, replicas=3),
    )

    assert codes(right) == []
    assert codes(wrong) == ["join-replicas"]


def test_inputs_of_which_only_some_are_related_are_refused() -> None:
    wrong = pipeline(
        stage("numbers"),
        stage("letters"),
        stage("pair", {"n": "numbers", "m": "numbers", "l": "letters"}, SAVE),
    )

    (finding,) = errors(wrong)
    assert finding.code == "join-mixed"
    assert "zip 'n' and 'm' in a stage of their own first" in finding.hint


def test_one_named_input_is_no_join() -> None:
    sound = pipeline(
        stage("find"),
        stage("count", {"row": "find"}, STATEFUL, replicas=2, partition=ByKey("item")),
    )

    assert find_zips(network(sound)).by_stage == {}
    assert codes(sound) == []


def test_a_zip_below_a_wrong_edge_is_not_judged() -> None:
    wrong = pipeline(
        stage("find"),
        stage("left", ["find", "nowhere"]),
        stage("pair", {"a": "find", "b": "left"}, SAVE),
    )

    assert codes(wrong) == ["unknown-stage"]
