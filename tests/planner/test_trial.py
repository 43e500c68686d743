from __future__ import annotations

from dataclasses import replace

import pytest

from pipeflow.errors import InvalidPipeline, Severity
from pipeflow.planner.checks import check
from pipeflow.planner.make import make_plan
from pipeflow.planner.trial.decide import Trial, decide_trial
from pipeflow.spec.pipeline import Expected, FileTest, Given, Pipeline, PortRef
from pipeflow.spec.policies import Budget, ErrorPolicy, OnError
from tests.planner.building import MACHINE, SAVE, WRITER, at, pipeline, stage

WORK = pipeline(
    stage("find"),
    stage("decode", "find", on_error=OnError.DEAD_LETTER, outputs=("masks",)),
    stage("shrink", "decode"),
    stage("save", "shrink", SAVE),
    stage("broken", "decode.errors", WRITER),
    stage("masks", "decode.masks", SAVE),
)


def port(text: str) -> PortRef:
    return PortRef(*text.split("."))


def file_test(given: str = "", expect: str = "") -> FileTest:
    return FileTest(
        name="it",
        at=at(20),
        given=tuple(Given(port=port(each), at=at(21), items=(1, 2)) for each in given.split()),
        expect=tuple(
            Expected(port=port(each), at=at(22), value_at=at(22, 9), items=())
            for each in expect.split()
        ),
    )


def trial(given: str, expect: str, work: Pipeline = WORK) -> Trial:
    return decide_trial(work, file_test(given, expect))


def running(decided: Trial) -> dict[str, list[str]]:
    return {
        each.name: [str(edge.source) for edge in each.edges] for each in decided.pipeline.stages
    }


def codes(given: str, expect: str, work: Pipeline = WORK) -> list[str]:
    found = check(replace(work, tests=(file_test(given, expect),)))
    return [each.code for each in found if each.severity is Severity.ERROR]


def test_only_stages_on_the_way_run_and_the_given_one_is_replaced() -> None:
    decided = trial("find", "shrink")

    assert running(decided) == {
        "find": [],
        "decode": ["find"],
        "shrink": ["decode"],
        "what 'shrink' emits": ["shrink"],
    }
    assert decided.pipeline.stages[0].parameters == {"items": [1, 2]}


def test_a_sink_does_not_run_and_what_reaches_it_is_collected() -> None:
    decided = trial("decode", "save")

    assert running(decided) == {"decode": [], "shrink": ["decode"], "save": ["shrink"]}
    assert decided.pipeline.stages[-1].parameters == {"collection": "what 'save' emits"}
    assert decided.at_input == {PortRef("save")}


def test_a_last_stage_that_gives_results_runs() -> None:
    decided = trial("find", "last", pipeline(stage("find"), stage("last", "find")))

    assert running(decided) == {"find": [], "last": ["find"], "what 'last' emits": ["last"]}
    assert decided.at_input == set()


def test_other_ports_can_be_given_and_expected() -> None:
    assert running(trial("decode.errors", "broken")) == {
        "decode-errors": [],
        "broken": ["decode-errors"],
    }
    assert running(trial("find", "decode.masks"))["what 'decode.masks' emits"] == ["decode.masks"]


def test_without_what_is_given_the_sources_run() -> None:
    assert running(trial("", "decode")) == {
        "find": [],
        "decode": ["find"],
        "what 'decode' emits": ["decode"],
    }


def test_dead_letters_that_nobody_reads_in_the_test_are_skipped() -> None:
    read, unread = trial("find", "shrink broken"), trial("find", "shrink")

    policies = [
        {each.name: each.on_error.then for each in decided.pipeline.stages}["decode"]
        for decided in (read, unread)
    ]
    assert policies == [OnError.DEAD_LETTER, OnError.SKIP]


def test_nobody_waits_before_another_try() -> None:
    policy = ErrorPolicy(retries=2, backoff_s=60.0)
    work = pipeline(stage("find"), stage("fetch", "find", on_error=policy))

    (_, fetch, _) = trial("find", "fetch", work).pipeline.stages

    assert fetch.on_error == ErrorPolicy(retries=2, backoff_s=0.0)


@pytest.mark.parametrize(
    ("budget", "kept"), [(Budget(1, percent=True), None), (Budget(1), Budget(1))]
)
def test_a_budget_that_is_a_share_does_not_judge_the_few_items_of_a_test(
    budget: Budget, kept: Budget | None
) -> None:
    policy = ErrorPolicy(then=OnError.SKIP, budget=budget)
    work = pipeline(stage("find"), stage("fetch", "find", on_error=policy))

    (_, fetch, _) = trial("find", "fetch", work).pipeline.stages

    assert fetch.on_error.budget == kept


def test_a_merge_gets_what_is_given_of_its_inputs() -> None:
    work = pipeline(stage("a"), stage("b"), stage("both", ["a", "b"]), stage("end", "both", SAVE))

    assert running(trial("a", "both", work))["both"] == ["a"]


def test_a_join_needs_all_of_its_inputs() -> None:
    joined = {"x": "a", "y": "b"}
    work = pipeline(stage("a"), stage("b"), stage("both", joined), stage("end", joined, SAVE))

    assert codes("a", "both", work) == ["test-input"]
    assert codes("a", "end", work) == ["test-input"]
    assert codes("a b", "both", work) == []
    assert make_plan(trial("a b", "both end", work).pipeline, MACHINE).edges


@pytest.mark.parametrize(
    ("given", "expect", "code"),
    [
        ("fnid", "save", "unknown-stage"),
        ("find", "shrnik", "unknown-stage"),
        ("find", "decode.mask", "unknown-port"),
        ("shrink.errors", "save", "unknown-port"),
        ("shrink", "broken", "test-path"),
        ("shrink", "decode", "test-path"),
        ("shrink", "shrink", "test-path"),
        ("find masks", "shrink", "test-path"),
    ],
)
def test_what_no_path_joins_is_a_mistake_with_a_place(given: str, expect: str, code: str) -> None:
    assert codes(given, expect) == [code]
    with pytest.raises(InvalidPipeline):
        trial(given, expect)


def test_a_stage_that_is_switched_off_cannot_be_expected_but_can_be_given() -> None:
    off = pipeline(stage("find"), stage("half", "find", enabled=False), stage("end", "half"))

    assert codes("find", "half", off) == []  # its params may switch it on
    with pytest.raises(InvalidPipeline, match="takes out"):
        trial("find", "half", off)
    assert running(trial("half", "end", off)) == {
        "half": [],
        "end": ["half"],
        "what 'end' emits": ["end"],
    }
