"""What holds for the plan of any graph, drawn by hypothesis."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pipeflow.errors import InvalidPipeline, Severity
from pipeflow.planner.checks import check
from pipeflow.planner.make import make_plan
from pipeflow.planner.plan import EdgePlan, Join, Machine, Numbering, Parts, Plan, Route, StagePlan
from pipeflow.spec.pipeline import Pipeline, Stage
from pipeflow.spec.policies import (
    Balance,
    Broadcast,
    ByKey,
    JoinPolicy,
    KeyedInputs,
    LatestInputs,
    OnError,
    Overflow,
    TransportKind,
    ZipInputs,
)
from pipeflow.spec.stage_type import CallFacts, StageType
from tests.planner.building import (
    FILES,
    FILTER,
    FLAT_MAP,
    MAP,
    SAVE,
    STATEFUL,
    STREAM,
    TAKE,
    UNKNOWN,
    WRITER,
    pipeline,
    stage,
)

PARTITIONS = [Balance(), Balance(), ByKey("item"), Broadcast()]

MACHINE = Machine(cores=3, memory=2**40, processes=10_000, descriptors=1_000_000)


def joins(ports: list[str]) -> st.SearchStrategy[JoinPolicy]:
    """How named inputs meet; mostly a zip."""
    keys = dict.fromkeys(ports, "item")
    by_key = [KeyedInputs(expressions=keys), KeyedInputs(expressions=keys, items=None, seconds=1.0)]
    return st.sampled_from([ZipInputs(), ZipInputs(), LatestInputs(), *by_key])


@st.composite
def stages(draw: st.DrawFn, number: int, *, wild: bool) -> Stage:
    """A stage that reads some before it; ``wild`` ones may be wrong in any way."""
    above = [f"s{index}" for index in range(number)]
    names = above + ([f"s{number}", f"s{number + 1}", "s0.errors", "nowhere"] if wild else [])
    least = draw(st.sampled_from([0, 1, 1, 2, 2])) if len(names) > 1 else 0
    chosen = st.lists(st.sampled_from(names or [""]), min_size=least, max_size=3, unique=True)
    sources = draw(chosen) if names else []
    named = len(sources) > 1 and draw(st.booleans())
    inputs = {f"p{index}": source for index, source in enumerate(sources)} if named else sources
    work = draw(st.sampled_from(works(wild=wild, source=not sources, named=named)))
    may_have_partition = wild or (bool(sources) and not named)
    partition = draw(st.sampled_from(PARTITIONS if may_have_partition else [Balance()]))
    may_spread = may_have_partition or named
    if not wild and work in {STREAM, STATEFUL} and partition == Balance():
        may_spread = False
    return stage(
        f"s{number}",
        inputs,
        work,
        partition=partition,
        join=draw(joins(list(inputs))) if isinstance(inputs, dict) else ZipInputs(),
        replicas=draw(st.sampled_from([None, 1, 2, 3] if may_spread else [None])),
        ordered=draw(st.sampled_from([True, True, False])),
        on_error=draw(st.sampled_from(list(OnError) if wild else [OnError.STOP])),
        enabled=draw(st.integers(0, 9)) != 0,
        edge={
            "overflow": draw(st.sampled_from([Overflow.BLOCK] * 4 + [Overflow.DROP_OLDEST])),
            "transport": draw(st.sampled_from(list(TransportKind))),
        },
    )


def works(*, wild: bool, source: bool, named: bool) -> Sequence[CallFacts | StageType]:
    """What a stage may run: anything, or what fits its place."""
    if wild:
        return [MAP, SAVE, FLAT_MAP, UNKNOWN, FILTER, STATEFUL, STREAM, TAKE, WRITER, FILES]
    if source or named:
        return [MAP, FLAT_MAP, UNKNOWN]
    return [MAP, MAP, MAP, FLAT_MAP, UNKNOWN, FILTER, STATEFUL, STREAM]


@st.composite
def pipelines(draw: st.DrawFn, *, wild: bool = False) -> Pipeline:
    count = draw(st.integers(2, 9))
    drawn = [draw(stages(number, wild=wild)) for number in range(count)]
    return pipeline(*draw(st.permutations(drawn)))


def readers_and_writers(plan: Plan, edge: EdgePlan) -> tuple[StagePlan, StagePlan]:
    return plan.stages[edge.target], plan.stages[edge.source]


@settings(max_examples=200, deadline=None)
@given(pipelines(wild=True))
def test_every_pipeline_is_planned_or_refused_with_places(drawn: Pipeline) -> None:
    findings = check(drawn)

    wrong = [finding for finding in findings if finding.severity is Severity.ERROR]
    assert [finding.at for finding in findings] == sorted(finding.at for finding in findings)
    if not wrong:
        assert_sound(make_plan(drawn, MACHINE))
        return
    with pytest.raises(InvalidPipeline) as caught:
        make_plan(drawn, MACHINE)
    assert caught.value.findings == findings


@settings(max_examples=300, deadline=None)
@given(pipelines())
def test_every_plan_keeps_the_rules_of_units_and_lanes(drawn: Pipeline) -> None:
    try:
        plan = make_plan(drawn, MACHINE)
    except InvalidPipeline:
        event("refused")
        return
    event("planned")
    for each in plan.stages:
        event(each.join.value)

    assert_sound(plan)
    assert make_plan(drawn, MACHINE) == plan


def assert_sound(plan: Plan) -> None:
    assert_numbered(plan)
    for edge in plan.edges:
        assert_route(plan, edge)
        assert_order(plan, edge)
    for each in plan.stages:
        assert_lanes(plan, each)


def assert_numbered(plan: Plan) -> None:
    assert [each.index for each in plan.stages] == list(range(len(plan.stages)))
    assert [each.index for each in plan.edges] == list(range(len(plan.edges)))
    assert len(plan.workers) == sum(each.replicas for each in plan.stages)
    started = {stage: when for when, stage in enumerate(plan.start_order)}
    assert sorted(started) == list(range(len(plan.stages)))
    assert plan.stop_order == plan.start_order[::-1]
    for edge in plan.edges:
        assert started[edge.target] < started[edge.source]
        assert plan.stages[edge.target].level > plan.stages[edge.source].level
        assert edge.index in plan.stages[edge.source].edges_out[edge.port]
        assert edge.port in plan.stages[edge.source].ports
    held = sum(edge.capacity_bytes * plan.stages[edge.target].replicas for edge in plan.edges)
    assert held <= plan.memory


def assert_route(plan: Plan, edge: EdgePlan) -> None:
    reader, writer = readers_and_writers(plan, edge)
    assert edge.transport is not TransportKind.AUTO
    assert (edge.route is Route.SINGLE) == (reader.replicas == 1)
    by_key = reader.join is Join.BY_KEY
    assert (edge.route is Route.KEY or by_key) == bool(edge.key)
    # The first input of the latest comes as if it were alone; the others go to every replica.
    first_of_latest = reader.join is Join.LATEST and edge.index == reader.edges_in[0]
    match edge.route:
        case Route.BALANCE:
            assert writer.replicas == 1
            assert reader.join is Join.MERGE or first_of_latest
        case Route.ALIGNED:
            assert writer.replicas == reader.replicas
            assert len(reader.edges_in) == 1 or first_of_latest
        case Route.ANY:
            assert writer.replicas > 1
            assert edge.parts is Parts.ONE
            assert not edge.ordered
        case Route.BROADCAST if reader.join is Join.LATEST:
            assert not first_of_latest
        case Route.KEY | Route.BROADCAST:
            assert {plan.edges[number].route for number in reader.edges_in} == {edge.route}
        case Route.SINGLE | Route.BY_UNIT:
            pass
    if edge.parts is Parts.EACH:
        assert writer.replicas > 1


def assert_order(plan: Plan, edge: EdgePlan) -> None:
    """Who keeps units gives them in the order in which they come, or gives order up with them."""
    reader, writer = readers_and_writers(plan, edge)
    assert edge.ordered or writer.replicas > 1
    if reader.join in {Join.ZIP_BY_ID, Join.ZIP_BY_POSITION}:
        assert edge.ordered
    passes_on = reader.join is not Join.BY_KEY  # that one counts anew
    if reader.join is Join.LATEST:
        passes_on = edge.index == reader.edges_in[0]
    if reader.numbering is Numbering.KEEP and passes_on:
        out = [plan.edges[number] for numbers in reader.edges_out.values() for number in numbers]
        assert edge.ordered or not any(each.ordered for each in out)


def assert_lanes(plan: Plan, reader: StagePlan) -> None:
    edges = [plan.edges[number] for number in reader.edges_in]
    lanes = {(edge.lane_base, edge.lanes) for edge in edges}
    taken = [lane for edge in edges for lane in range(edge.lane_base, edge.lane_base + edge.lanes)]
    match reader.join:
        case Join.NONE:
            assert edges == []
        case Join.MERGE:
            assert taken == list(range(len(taken)))
        case Join.ZIP_BY_ID:
            assert len(lanes) == 1
            assert edges[0].lane_base == 0
            for edge in edges:
                writer = plan.stages[edge.source]
                assert writer.numbering in {Numbering.PER_STAGE, Numbering.KEEP}
        case Join.ZIP_BY_POSITION:
            assert {edge.lane_base for edge in edges} == {0}
            if reader.replicas > 1:
                writers = [plan.stages[edge.source] for edge in edges]
                assert {writer.numbering for writer in writers} == {Numbering.PER_PORT}
        case Join.BY_KEY | Join.LATEST:
            assert reader.pairing is not None
            assert {edge.lane_base for edge in edges} == {0}
            assert (
                reader.replicas == 1
                or reader.pairing.ahead
                or reader.join is Join.LATEST
                or (reader.pairing.seconds is not None)
            )
    inner = len(taken) if reader.join is Join.MERGE else edges[0].lanes if edges else 1
    inner = 1 if reader.join is Join.ZIP_BY_POSITION else inner
    inner = reader.replicas if reader.join is Join.BY_KEY else inner
    keeps = reader.numbering is Numbering.KEEP
    for numbers in reader.edges_out.values():
        assert {plan.edges[number].lanes for number in numbers} == {inner if keeps else 1}
    assert keeps or reader.replicas == 1


def test_a_plan_of_300_stages_is_made_at_once() -> None:
    layers = [stage("s0")]
    for number in range(1, 300, 3):
        above = layers[-1].name
        layers += [
            stage(f"a{number}", above, replicas=2),
            stage(f"b{number}", above),
            stage(f"z{number}", {"a": f"a{number}", "b": f"b{number}"}),
        ]

    began = time.perf_counter()
    plan = make_plan(pipeline(*layers), MACHINE)
    took = time.perf_counter() - began

    print(f"{len(plan.stages)} stages planned in {took:.3f} s")
    assert len(plan.stages) == 301
