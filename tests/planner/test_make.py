"""The plan as a whole: disabled stages, order, replicas, limits, the part that leads to a stage."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from pipeflow.errors import InvalidPipeline, MachineError, Severity, UsageError
from pipeflow.planner.make import make_plan, only_to
from pipeflow.planner.plan import Machine, Plan
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.policies import Batching, Capacity, OnError, Resources
from pipeflow.spec.shapes import Role
from tests.planner.building import (
    FILES,
    FILTER,
    MACHINE,
    SAVE,
    STATEFUL,
    UNKNOWN,
    names,
    pipeline,
    stage,
    the_edge,
    the_stage,
)

MIB = 2**20


def chain(**limits: int) -> Pipeline:
    return pipeline(stage("find"), stage("decode", "find"), stage("save", "decode", SAVE), **limits)


def test_a_mistake_forbids_the_plan_and_comes_with_the_doubts() -> None:
    wrong = pipeline(stage("find"), stage("decode", "fnid"), stage("stats", "find"))

    with pytest.raises(InvalidPipeline) as caught:
        make_plan(wrong, MACHINE)

    weights = [finding.severity for finding in caught.value.findings]
    assert Severity.ERROR in weights
    assert Severity.WARNING in weights


@pytest.mark.parametrize(
    ("feeders", "batch", "asked", "given", "why"),
    [
        (2, None, 1, 2, "2 replicas write to it"),
        (3, 8, 4, 8, "a batch always has room"),
        (3, None, 3, 3, ""),
    ],
)
def test_a_capacity_that_is_too_small_for_its_writers_or_a_batch_is_raised_and_told(
    feeders: int, batch: int | None, asked: int, given: int, why: str
) -> None:
    batching = None if batch is None else Batching(size=batch)
    edge = {"capacity": Capacity(items=asked)}
    reader = stage("save", "work", SAVE, edge=edge, batch=batching)

    plan = make_plan(
        pipeline(stage("find"), stage("work", "find", replicas=feeders), reader), MACHINE
    )

    assert the_edge(plan, "work", "save").capacity_items == given
    told = [note for note in plan.notes if note.startswith("capacity")]
    raised = f"capacity of the edge from 'work' to 'save' is raised from {asked} to {given} items"
    assert told == ([f"{raised}: {why}"] if why else [])


def test_stages_edges_and_workers_are_numbered_in_the_order_of_the_file() -> None:
    plan = make_plan(
        pipeline(stage("save", "work", SAVE), stage("work", "find", replicas=2), stage("find")),
        MACHINE,
    )

    assert [each.name for each in plan.stages] == ["save", "work", "find"]
    assert [(edge.index, edge.source, edge.target) for edge in plan.edges] == [(0, 1, 0), (1, 2, 1)]
    assert [(each.index, each.stage, each.replica) for each in plan.workers] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 1, 1),
        (3, 2, 0),
    ]
    assert [each.role for each in plan.stages] == [Role.SINK, Role.OPERATOR, Role.SOURCE]


def test_readers_start_first_and_writers_stop_first() -> None:
    plan = make_plan(
        pipeline(stage("z"), stage("a", "z"), stage("b", "z"), stage("save", ["b", "a"], SAVE)),
        MACHINE,
    )

    assert names(plan, plan.start_order) == ["save", "a", "b", "z"]
    assert names(plan, plan.stop_order) == ["z", "b", "a", "save"]
    assert [each.level for each in plan.stages] == [0, 1, 1, 2]


def test_a_plan_crosses_to_a_worker() -> None:
    plan = make_plan(chain(), MACHINE)

    assert pickle.loads(pickle.dumps(plan)) == plan


def test_the_same_file_and_machine_give_the_same_plan() -> None:
    assert make_plan(chain(), MACHINE) == make_plan(chain(), MACHINE)


def test_several_readers_of_a_port_are_all_listed() -> None:
    plan = make_plan(
        pipeline(
            stage("find"),
            stage("a", "find", SAVE),
            stage("b", "find", SAVE),
            stage("c", "find", on_error=OnError.DEAD_LETTER),
            stage("d", "c.errors", SAVE),
        ),
        MACHINE,
    )

    assert the_stage(plan, "find").edges_out == {"out": (0, 1, 2)}
    assert the_stage(plan, "c").edges_out == {"errors": (3,)}
    assert the_stage(plan, "c").role is Role.SINK
    assert the_stage(plan, "c").ports == ("out", "errors")


def test_readers_of_a_disabled_stage_read_its_input() -> None:
    plan = make_plan(
        pipeline(
            stage("find"),
            stage("a", "find", enabled=False),
            stage("b", "a", enabled=False),
            stage("save", "b", SAVE),
        ),
        MACHINE,
    )

    assert [each.name for each in plan.stages] == ["find", "save"]
    assert the_edge(plan, "find", "save").port == "out"
    assert plan.notes == (
        "stage 'a' is disabled: its readers read 'find' instead",
        "stage 'b' is disabled: its readers read 'find' instead",
    )


def test_a_disabled_source_is_cut_with_all_that_then_has_no_input() -> None:
    plan = make_plan(
        pipeline(
            stage("find", enabled=False),
            stage("more"),
            stage("decode", "find"),
            stage("pair", {"a": "decode", "b": "more"}),
            stage("save", ["decode", "more"], SAVE),
            stage("end", "pair", SAVE),
        ),
        MACHINE,
    )

    assert [each.name for each in plan.stages] == ["more", "save"]
    assert plan.notes == (
        "stage 'find' is disabled: it is cut",
        "stage 'decode' is cut: it reads 'find'",
        "stage 'pair' is cut: it reads 'decode'",
        "stage 'end' is cut: it reads 'pair'",
    )


def test_a_disabled_stage_whose_errors_are_read_is_cut() -> None:
    plan = make_plan(
        pipeline(
            stage("find"),
            stage("decode", "find", enabled=False, on_error=OnError.DEAD_LETTER),
            stage("save", ["decode", "find"], SAVE),
            stage("broken", "decode.errors", SAVE),
        ),
        MACHINE,
    )

    assert [each.name for each in plan.stages] == ["find", "save"]


def test_auto_divides_the_cores_among_the_stages_that_say_so() -> None:
    plan = make_plan(
        pipeline(
            stage("find", replicas=None),
            stage("a", "find", replicas=None),
            stage("b", "a", FILTER, replicas=None),
            stage("count", "b", STATEFUL, replicas=None),
            stage("save", "count", SAVE),
        ),
        Machine(cores=8, memory=MACHINE.memory),
    )

    assert [each.replicas for each in plan.stages] == [1, 4, 4, 1, 1]
    assert "replicas of 'a': auto = 4 of 8 cores (affinity and cgroup)" in plan.notes
    assert any("'count': auto = 1" in note and "cannot have more" in note for note in plan.notes)


def test_auto_is_at_least_one() -> None:
    plan = make_plan(
        pipeline(
            stage("find"), *(stage(f"s{n}", "find", UNKNOWN, replicas=None) for n in range(5))
        ),
        Machine(cores=2, memory=MACHINE.memory),
    )

    assert {each.replicas for each in plan.stages} == {1}


def test_numbers_by_default_give_a_stage_with_state_one_replica() -> None:
    plan = make_plan(
        pipeline(
            stage("find", replicas=3, replicas_given=False),
            stage("work", "find", replicas=3, replicas_given=False),
            stage("count", "work", STATEFUL, replicas=3, replicas_given=False),
        ),
        MACHINE,
    )

    assert [each.replicas for each in plan.stages] == [1, 3, 1]


def test_threads_are_the_cores_over_the_workers_unless_given() -> None:
    plan = make_plan(
        pipeline(stage("find"), stage("work", "find", resources=Resources(threads=3))),
        Machine(cores=9, memory=MACHINE.memory),
    )

    assert [each.threads for each in plan.stages] == [4, 3]


def test_sources_of_ones_own_and_readers_of_minus_keep_standard_input() -> None:
    plan = make_plan(
        pipeline(
            stage("own"),
            stage("dash", "", FILES, parameters={"path": "-"}),
            stage("file", "", FILES, parameters={"path": "a.txt"}),
            stage("save", ["own", "dash", "file"], SAVE),
        ),
        MACHINE,
    )

    assert [each.stdin for each in plan.stages] == [True, True, False, False]


def test_too_many_processes_for_the_file_are_a_mistake_in_it() -> None:
    wrong = pipeline(
        stage("find"),
        stage("work", "find", replicas=None),
        stage("save", "work", SAVE),
        processes=5,
    )

    with pytest.raises(InvalidPipeline, match="6 worker processes"):
        make_plan(wrong, MACHINE)
    assert len(make_plan(wrong, replace(MACHINE, cores=3)).workers) == 5


def test_too_many_processes_for_the_machine_are_no_mistake_of_the_file() -> None:
    with pytest.raises(MachineError, match=r"5 processes .* 4 may still be started"):
        make_plan(chain(), replace(MACHINE, processes=4))


def test_too_many_open_files_for_the_machine_name_both_numbers() -> None:
    wide = pipeline(stage("find"), stage("a", "find", replicas=20), stage("b", "a", replicas=19))

    with pytest.raises(MachineError, match=r"up to 1264 open files .* is 1024"):
        make_plan(wide, replace(MACHINE, descriptors=1024))
    assert make_plan(wide, MACHINE).descriptors == 1264


def held(plan: Plan) -> int:
    return sum(edge.capacity_bytes * plan.stages[edge.target].replicas for edge in plan.edges)


def test_capacities_are_the_defaults_when_there_is_room() -> None:
    plan = make_plan(chain(), MACHINE)

    assert [(edge.capacity_items, edge.capacity_bytes) for edge in plan.edges] == [
        (256, 64 * MIB),
        (256, 64 * MIB),
    ]
    assert plan.memory == MACHINE.memory // 2


def test_bounds_by_default_are_lowered_to_half_of_the_memory() -> None:
    plan = make_plan(chain(memory=100 * MIB), MACHINE)

    assert [edge.capacity_bytes for edge in plan.edges] == [25 * MIB, 25 * MIB]
    assert plan.memory == 100 * MIB
    assert plan.warnings == ()


def test_the_bound_counts_for_each_reading_replica() -> None:
    plan = make_plan(
        pipeline(stage("find"), stage("work", "find", replicas=4), memory=100 * MIB), MACHINE
    )

    assert held(plan) <= 50 * MIB
    assert plan.edges[0].capacity_bytes * 4 > 49 * MIB


def test_explicit_bounds_may_take_all_of_the_memory() -> None:
    plan = make_plan(
        pipeline(
            stage("find"),
            stage("a", "find", edge={"capacity": Capacity(items=8, bytes=90 * MIB)}),
            stage("b", "a", SAVE),
            memory=100 * MIB,
        ),
        MACHINE,
    )

    assert [(edge.capacity_items, edge.capacity_bytes) for edge in plan.edges] == [
        (8, 90 * MIB),
        (256, MIB),
    ]


def test_explicit_bounds_that_do_not_fit_are_lowered_with_a_warning() -> None:
    plan = make_plan(
        pipeline(
            stage("find"),
            stage("a", "find", SAVE, edge={"capacity": Capacity(bytes=900 * MIB)}),
            stage("b", "find", SAVE, edge={"capacity": Capacity(bytes=1000)}),
            memory=100 * MIB,
        ),
        MACHINE,
    )

    assert [edge.capacity_bytes for edge in plan.edges] == [100 * MIB - 1000, 1000]
    assert [finding.code for finding in plan.warnings] == ["capacity-lowered"]


def test_a_limit_without_room_for_one_item_an_edge_is_refused() -> None:
    with pytest.raises(
        InvalidPipeline, match=r"memory-limit.*need 2 MiB .* limits.memory is 1 MiB"
    ):
        make_plan(chain(memory=MIB), MACHINE)


def test_a_machine_without_room_for_one_item_an_edge_is_refused() -> None:
    with pytest.raises(MachineError, match="need 2 MiB"):
        make_plan(chain(), replace(MACHINE, memory=3 * MIB))


def test_a_limit_above_what_is_free_is_a_doubt() -> None:
    plan = make_plan(chain(memory=MACHINE.memory * 2), MACHINE)

    assert plan.memory == MACHINE.memory
    assert [finding.code for finding in plan.warnings] == ["memory-above-free"]


def test_only_what_leads_to_a_stage_is_kept() -> None:
    whole = pipeline(
        stage("find"),
        stage("decode", "find", on_error=OnError.DEAD_LETTER),
        stage("broken", "decode.errors", SAVE),
        stage("off", "decode", enabled=False),
        stage("shrink", "off"),
        stage("save", "shrink", SAVE),
    )

    part = only_to(whole, "shrink")

    assert [each.name for each in part.stages] == ["find", "decode", "shrink"]
    assert part.stages[1].on_error.then is OnError.SKIP
    assert make_plan(part, MACHINE).edges[1].source == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("decod", "no stage has the name 'decod'; did you mean 'decode'?"),
        ("save", "no stage has the name 'save'; the stages are: find, decode"),
        ("off", "stage 'off' is taken out by `enabled: false`"),
    ],
)
def test_a_part_needs_a_stage_that_runs(name: str, message: str) -> None:
    whole = pipeline(stage("find"), stage("decode", "find"), stage("off", "find", enabled=False))

    with pytest.raises(UsageError) as caught:
        only_to(whole, name)

    assert message in str(caught.value)
