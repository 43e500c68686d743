"""Each rule by an example: what is wrong, where, and what to write instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeflow.errors import Severity
from pipeflow.planner.checks import check
from pipeflow.spec.pipeline import Call, Pipeline
from pipeflow.spec.policies import Broadcast, ByKey, OnError
from pipeflow.spec.shapes import Shape
from pipeflow.spec.shared import Shared, SharedKind, SharedRef
from pipeflow.spec.stage_type import CallFacts, StageType
from tests.planner.building import (
    FILES,
    FLAT_MAP,
    SAVE,
    STATEFUL,
    STREAM,
    TAKE,
    UNKNOWN,
    WRITER,
    at,
    pipeline,
    stage,
)
from tests.planner.judging import codes, errors


def warnings(checked: Pipeline) -> list[str]:
    return [finding.code for finding in check(checked) if finding.severity is Severity.WARNING]


def test_a_sound_pipeline_earns_nothing() -> None:
    sound = pipeline(
        stage("find", work=FILES), stage("decode", "find"), stage("save", "decode", SAVE)
    )

    assert check(sound) == ()


def test_an_unknown_stage_is_named_with_the_one_that_was_meant() -> None:
    wrong = pipeline(
        stage("reader"), stage("resize", "raeder"), stage("writer", ["resize", "reader"], SAVE)
    )

    (finding,) = errors(wrong)
    assert str(finding) == (
        "p.yaml:3:51: error[unknown-stage]: stage 'resize' reads from 'raeder', and no stage has "
        "that name\n  hint: did you mean 'reader' (line 2)? The stages are: reader, resize, writer."
    )
    assert finding.length == len("raeder")


def test_an_unknown_port_is_named_with_the_one_that_was_meant() -> None:
    wrong = pipeline(
        stage("find"),
        stage("decode", "find", on_error=OnError.DEAD_LETTER),
        stage("save", "decode", SAVE),
        stage("broken", ["decode.errros", "decode.errors"], SAVE),
    )

    (finding,) = errors(wrong)
    assert finding.code == "unknown-port"
    assert (
        finding.problem == "stage 'broken' reads 'decode.errros', and 'decode' has no port 'errros'"
    )
    assert finding.hint == "did you mean 'decode.errors'? The ports of 'decode' are: out, errors."


def test_a_wrong_edge_is_one_mistake_and_no_reason_to_call_its_writer_unread() -> None:
    wrong = pipeline(
        stage("find"),
        stage("decode", "find", on_error=OnError.DEAD_LETTER),
        stage("resize", "decode", FLAT_MAP),
        stage("broken", "decode.errros", SAVE),
        stage("save", "resiez", SAVE),
        stage("round", ["find", "round"]),
    )

    assert [finding.code for finding in check(wrong)] == [
        "unknown-port",
        "unknown-stage",
        "self-edge",
    ]


def test_errors_can_be_read_only_where_there_are_dead_letters() -> None:
    wrong = pipeline(stage("find"), stage("decode", "find"), stage("broken", "decode.errors", SAVE))

    (finding,) = errors(wrong)
    assert finding.code == "errors-not-open"
    assert finding.hint == "write `on_error: dead_letter` in stage 'decode' (line 3)"


def test_dead_letters_must_be_read() -> None:
    wrong = pipeline(
        stage("find"),
        stage("decode", "find", on_error=OnError.DEAD_LETTER),
        stage("save", "decode", SAVE),
    )

    (finding,) = errors(wrong)
    assert (finding.code, finding.at.line, finding.at.column) == ("unread-errors", 3, 41)
    assert "inputs: decode.errors" in finding.hint
    assert warnings(wrong) == []


def test_dead_letters_whose_reader_is_disabled_are_only_a_doubt() -> None:
    doubtful = pipeline(
        stage("find"),
        stage("decode", "find", on_error=OnError.DEAD_LETTER),
        stage("save", "decode", SAVE),
        stage("broken", "decode.errors", SAVE, enabled=False),
    )

    assert codes(doubtful) == []
    assert warnings(doubtful) == ["unread-errors"]


def test_unmatched_is_a_port_of_joins_only() -> None:
    wrong = pipeline(
        stage("find"), stage("decode", "find"), stage("lost", "decode.unmatched", SAVE)
    )
    right = pipeline(
        stage("find"),
        stage("pair", {"a": "find", "b": "find"}, SAVE),
        stage("lost", "pair.unmatched", SAVE),
    )

    assert codes(wrong) == ["unknown-port"]
    assert codes(right) == []


def test_a_stage_may_not_read_itself() -> None:
    wrong = pipeline(stage("find"), stage("decode", ["find", "decode"]))

    assert codes(wrong) == ["self-edge"]


def test_a_cycle_is_named_in_order_with_lines() -> None:
    wrong = pipeline(
        stage("load"), stage("a", ["load", "c"]), stage("b", "a"), stage("c", "b"), stage("d", "c")
    )

    (finding,) = errors(wrong)
    assert finding.code == "cycle"
    assert finding.problem == "cycle: a (line 3) -> b (line 4) -> c (line 5) -> a"
    assert (finding.at.line, finding.at.column) == (3, 52)


def test_two_cycles_are_both_named() -> None:
    wrong = pipeline(
        stage("load"),
        stage("a", ["load", "b"]),
        stage("b", ["a", "c"]),
        stage("c", "b"),
        stage("d", ["load", "e"]),
        stage("e", "d"),
    )

    assert [finding.problem for finding in errors(wrong)] == [
        "cycle: a (line 3) -> b (line 4) -> a",
        "cycle: b (line 4) -> c (line 5) -> b",
        "cycle: d (line 6) -> e (line 7) -> d",
    ]


def test_without_a_source_nothing_would_start() -> None:
    wrong = pipeline(stage("a", "b"), stage("b", "a"))

    assert sorted(codes(wrong)) == ["cycle", "no-source"]
    assert "nothing would start this pipeline" in errors(wrong)[0].problem


def test_when_all_is_cut_nothing_would_start_and_the_disabled_sources_are_named() -> None:
    wrong = pipeline(stage("find", enabled=False), stage("save", "find", SAVE))

    (finding,) = errors(wrong)
    assert finding.code == "no-source"
    assert finding.problem.startswith("every source is disabled")
    assert "'find'" in finding.hint


def test_a_list_may_not_name_an_input_twice() -> None:
    wrong = pipeline(stage("find"), stage("save", ["find", "find"], SAVE))
    right = pipeline(stage("find"), stage("save", {"a": "find", "b": "find"}, SAVE))

    assert codes(wrong) == ["duplicate-input"]
    assert codes(right) == []


def test_a_source_operator_takes_no_inputs() -> None:
    wrong = pipeline(stage("find"), stage("more", "find", FILES), stage("save", "more", SAVE))

    assert codes(wrong) == ["source-with-inputs"]


@pytest.mark.parametrize("work", [TAKE, WRITER], ids=["operator", "sink"])
def test_an_operator_that_takes_items_needs_inputs(work: StageType) -> None:
    wrong = pipeline(stage("find"), stage("save", "find", SAVE), stage("other", "", work))

    assert "missing-inputs" in codes(wrong)


def test_a_stage_that_lost_a_wrong_input_is_not_blamed_for_having_none() -> None:
    wrong = pipeline(stage("find"), stage("few", "fnid", TAKE), stage("save", "few", SAVE))

    assert codes(wrong) == ["unknown-stage"]


def test_a_sink_operator_gives_nothing_to_read() -> None:
    wrong = pipeline(stage("find"), stage("keep", "find", WRITER), stage("save", "keep", SAVE))

    assert codes(wrong) == ["reads-a-sink"]


def test_a_stream_function_takes_no_named_inputs() -> None:
    wrong = pipeline(stage("find"), stage("rolling", {"xs": "find"}, STREAM))

    assert codes(wrong) == ["named-stream"]


def test_replicas_of_a_stage_with_state_need_a_partition() -> None:
    wrong = pipeline(stage("find"), stage("count", "find", STATEFUL, replicas=4))
    keyed = pipeline(
        stage("find"), stage("count", "find", STATEFUL, replicas=4, partition=ByKey("item"))
    )
    everywhere = pipeline(
        stage("find"), stage("count", "find", STATEFUL, replicas=4, partition=Broadcast())
    )

    (finding,) = errors(wrong)
    assert finding.code == "stateful-replicas"
    assert finding.problem == "stage 'count' keeps state; 4 replicas need a partition"
    assert finding.at.column == 21
    assert codes(keyed) == []
    assert codes(everywhere) == []


@pytest.mark.parametrize(("replicas", "given"), [(None, True), (4, False)])
def test_auto_and_defaults_are_no_mistake_for_a_stage_with_state(
    replicas: int | None, given: bool
) -> None:
    right = pipeline(
        stage("find", replicas=replicas, replicas_given=given),
        stage("count", "find", STATEFUL, replicas=replicas, replicas_given=given),
    )

    assert codes(right) == []


def test_sources_and_file_sinks_have_one_replica() -> None:
    wrong = pipeline(stage("find", replicas=2), stage("keep", "find", WRITER, replicas=2))

    assert codes(wrong) == ["single-replicas", "single-replicas"]


def test_with_named_inputs_the_join_decides_how_items_spread() -> None:
    wrong = pipeline(
        stage("find"),
        stage("pair", {"a": "find", "b": "find"}, partition=ByKey("item"), replicas=2),
    )

    assert codes(wrong) == ["join-partition"]


def test_a_source_has_no_items_to_spread() -> None:
    wrong = pipeline(stage("find", partition=ByKey("item")), stage("save", "find", SAVE))

    assert codes(wrong) == ["source-partition"]


def test_of_a_stage_that_could_not_be_read_only_its_references_are_judged() -> None:
    broken = stage("broken", replicas=3, work=Call(module="", attribute=""))
    wrong = pipeline(
        stage("find"),
        replace(broken, work_at=at(1)),
        stage("save", ["broken.masks", "find"], SAVE),
        stage("more", "nowhere", SAVE),
    )

    assert codes(wrong) == ["unknown-stage"]


def test_results_that_nobody_reads_are_a_doubt() -> None:
    doubtful = pipeline(
        stage("find"),
        stage("segment", "find", outputs=("masks",)),
        stage("save", "segment", SAVE),
        stage("stats", "find", FLAT_MAP),
        stage("other", "find", UNKNOWN),
    )

    found = [(f.code, f.at.line, f.problem) for f in check(doubtful)]
    assert found == [
        ("unread-output", 3, "nothing reads the output 'segment.masks'"),
        ("unread-output", 5, "nothing reads the output of 'stats'"),
    ]


def test_a_stage_that_sends_everything_to_its_own_ports_is_no_doubt() -> None:
    sound = pipeline(
        stage("find"), stage("sort", "find", outputs=("odd",)), stage("save", "sort.odd", SAVE)
    )

    assert check(sound) == ()


def test_reading_a_function_that_never_answers_is_a_doubt() -> None:
    doubtful = pipeline(stage("find"), stage("save", "find", SAVE), stage("next", "save", SAVE))

    (finding,) = check(doubtful)
    assert (finding.code, finding.at.line) == ("never-answers", 4)


def test_standard_input_has_one_reader() -> None:
    wrong = pipeline(
        stage("one", "", FILES, parameters={"path": "-"}),
        stage("two", "", FILES, parameters={"path": "-"}),
        stage("save", ["one", "two"], SAVE),
    )

    assert codes(wrong) == ["stdin-twice"]


def test_limits_of_the_file_are_judged_without_a_machine() -> None:
    many = pipeline(
        stage("find"), stage("work", "find", replicas=8), stage("save", "work", SAVE), processes=5
    )
    small = pipeline(stage("find"), stage("save", "find", SAVE), memory=1000)

    (finding,) = errors(many)
    assert finding.code == "too-many-processes"
    assert "10 worker processes" in finding.problem
    assert codes(small) == ["memory-limit"]


def test_the_processes_beside_isolated_stages_count() -> None:
    two = pipeline(
        stage("find"),
        stage("work", "find", replicas=2, timeout_s=1.0),
        stage("save", "work", SAVE),
        processes=5,
    )

    (finding,) = errors(two)

    assert finding.code == "too-many-processes"
    assert "6 worker processes" in finding.problem


def test_all_mistakes_come_at_once_sorted_by_place() -> None:
    wrong = pipeline(
        stage("find", replicas=2),
        stage("a", ["fnid", "c"]),
        stage("b", "a.ot"),
        stage("c", ["a", "find"], STATEFUL, replicas=3),
        stage("rolling", {"xs": "find"}, STREAM),
        stage("save", ["rolling", "rolling", "b"], CallFacts(shape=Shape.FUNCTION, answers=False)),
    )

    found = errors(wrong)
    assert [finding.code for finding in found] == [
        "single-replicas",
        "unknown-stage",
        "cycle",
        "unknown-port",
        "stateful-replicas",
        "named-stream",
        "duplicate-input",
    ]
    assert [finding.at for finding in found] == sorted(finding.at for finding in found)


def shared_by(**kinds: SharedKind) -> tuple[Shared, ...]:
    return tuple(
        Shared(name=name, kind=kind, at=at(1), shape=(2**20,)) for name, kind in kinds.items()
    )


def test_the_manager_of_shared_state_counts_as_a_process() -> None:
    load = stage("load", work=FLAT_MAP, parameters={"seen": SharedRef("seen")})
    whole = pipeline(load, stage("save", "load", SAVE), processes=2)
    shared = shared_by(seen=SharedKind.DICT, more=SharedKind.LIST)

    findings = check(replace(whole, shared=shared))

    assert [finding.code for finding in findings] == ["unused-shared", "too-many-processes"]
    assert "needs 3 worker processes (one of them the manager of `shared`)" in findings[1].problem


def test_shared_arrays_count_against_the_memory_of_the_run() -> None:
    load = stage("load", work=FLAT_MAP, parameters={"grid": SharedRef("grid")})
    whole = pipeline(load, stage("save", "load", SAVE), memory=2**23)

    findings = check(replace(whole, shared=shared_by(grid=SharedKind.ARRAY)))

    assert [finding.code for finding in findings] == ["memory-limit"]
    assert "`shared` takes 8 MiB beside them" in findings[0].problem
