"""From a checked tree to a pipeline: forms of values, defaults, and checks of one stage."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from pipeflow.config.expressions import NAMES
from pipeflow.config.load import Loaded, load
from pipeflow.spec.pipeline import Call, Edge, Pipeline, PortRef, Stage, Use
from pipeflow.spec.policies import (
    ArrayMode,
    Balance,
    Batching,
    Broadcast,
    Budget,
    ByKey,
    Capacity,
    ErrorPolicy,
    OnError,
    Overflow,
    Resources,
    TransportKind,
)
from pipeflow.stages.expression import MODULES
from pipeflow.stages.registry import stage_types

STEPS = """
import pipeflow


def load(stop: int = 3):
    yield from range(stop)


def clean(item, threshold: float = 0.5):
    return item


@pipeflow.stream
def rolling(items, window: int = 3):
    yield from items


async def fetch(item):
    return item


@pipeflow.stream
async def rolled(items):
    yield 1


class Count:
    def __call__(self, item):
        pass

    def finish(self):
        yield 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "steps.py").write_text(STEPS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, **environ: str) -> Loaded:
    return load(
        "-",
        environ=environ,
        stage_types=stage_types(),
        search_path=(),
        stdin_text=dedent(text),
    )


def pipeline(text: str, **environ: str) -> Pipeline:
    result = loaded(text, **environ)
    assert result.findings == ()
    assert result.complete
    assert result.pipeline is not None
    return result.pipeline


def stage(text: str, **environ: str) -> Stage:
    """The stage ``it`` of a pipeline with a source ``load``; the text is the stage's body."""
    body = dedent(text).strip().replace("\n", "\n    ")
    made = pipeline(f"stages:\n  load:\n    call: steps:load\n  it:\n    {body}\n", **environ)
    return made.stages[-1]


def codes(text: str, **environ: str) -> list[str]:
    """Codes of the findings about the stage ``it``."""
    body = dedent(text).strip().replace("\n", "\n    ")
    result = loaded(f"stages:\n  load:\n    call: steps:load\n  it:\n    {body}\n", **environ)
    return [finding.code for finding in result.findings]


def test_the_smallest_pipeline_has_a_name_a_version_and_one_source() -> None:
    made = pipeline("stages: {load: {call: 'steps:load'}}")

    assert (made.name, made.version, made.description) == ("pipeline", 1, "")
    assert [one.name for one in made.stages] == ["load"]
    work = made.stages[0].work
    assert isinstance(work, Call)
    assert (work.module, work.attribute) == ("steps", "load")
    assert made.stages[0].edges == ()


def test_an_input_is_a_text_or_a_mapping_with_from() -> None:
    short = stage("call: steps:clean\ninputs: load")
    long = stage("call: steps:clean\ninputs: {from: load, capacity: 8, overflow: drop_newest}")

    assert short.edges == (Edge(source=PortRef("load"), at=short.edges[0].at),)
    assert long.edges[0].capacity == Capacity(items=8)
    assert long.edges[0].overflow is Overflow.DROP_NEWEST
    assert not long.named_inputs


def test_a_list_of_inputs_may_mix_short_and_long_forms() -> None:
    made = stage(
        """
        call: steps:clean
        inputs:
          - load
          - from: load.masks
            transport: queue
            arrays: copy
        """
    )

    assert [edge.source for edge in made.edges] == [PortRef("load"), PortRef("load", "masks")]
    assert made.edges[1].transport is TransportKind.QUEUE
    assert made.edges[1].arrays is ArrayMode.COPY


def test_named_inputs_bear_the_names_of_the_arguments() -> None:
    made = stage("use: 'null'\ninputs: {image: load, mask: {from: load, capacity: 8}}")

    assert made.named_inputs
    assert [(edge.input, edge.capacity.items) for edge in made.edges] == [
        ("image", None),
        ("mask", 8),
    ]


def test_a_capacity_may_give_items_and_bytes() -> None:
    made = stage("call: steps:clean\ninputs: {from: load, capacity: {items: 8, bytes: 1GiB}}")

    assert made.edges[0].capacity == Capacity(items=8, bytes=2**30)


def test_an_edge_points_at_the_text_that_names_its_source() -> None:
    made = stage("call: steps:clean\ninputs: {from: load, capacity: 8}")

    assert (made.edges[0].at.line, made.edges[0].at.column) == (6, 20)


@pytest.mark.parametrize(
    ("text", "partition"),
    [
        ("balance", Balance()),
        ("broadcast", Broadcast()),
        ("{key: 'item[0]'}", ByKey("item[0]")),
    ],
)
def test_a_partition_has_three_forms(text: str, partition: object) -> None:
    assert stage(f"call: steps:clean\ninputs: load\npartition: {text}").partition == partition


def test_replicas_are_a_number_or_auto() -> None:
    four = stage("call: steps:clean\ninputs: load\nreplicas: 4")
    auto = stage("call: steps:clean\ninputs: load\nreplicas: auto")

    assert (four.replicas, four.replicas_given) == (4, True)
    assert (auto.replicas, auto.replicas_given) == (None, True)


def test_a_text_from_the_environment_is_read_as_the_number_that_is_due() -> None:
    made = stage(
        """
        call: steps:clean
        inputs: {from: load, capacity: "${env.ROOM}"}
        replicas: "${env.WORKERS}"
        ordered: "${env.ORDERED}"
        resources: {memory: "${env.MEMORY}"}
        """,
        ROOM="8",
        WORKERS="4",
        ORDERED="false",
        MEMORY="1MiB",
    )

    assert made.edges[0].capacity.items == 8
    assert made.replicas == 4
    assert made.ordered is False
    assert made.resources.memory == 2**20


def test_a_text_from_the_environment_that_is_no_number_is_a_mistake() -> None:
    assert codes('call: steps:clean\ninputs: load\nreplicas: "${env.WORKERS}"', WORKERS="many") == [
        "bad-value"
    ]


def test_a_variable_that_is_not_set_earns_one_message() -> None:
    assert len(codes('call: steps:clean\ninputs: load\nreplicas: "${env.WORKERS}"')) == 1


def test_environment_values_keep_their_spelling() -> None:
    made = stage(
        "call: steps:clean\ninputs: load\nenv: {A: 1e3, B: true, C: '0755', D: '${replica}'}"
    )

    assert made.env == {"A": "1e3", "B": "true", "C": "0755", "D": "${replica}"}


def test_defaults_reach_stages_that_have_no_setting_of_their_own() -> None:
    made = pipeline(
        """
        defaults:
          replicas: 3
          on_error: skip
          env: {A: 1, B: 2}
          resources: {threads: 1, memory: 1GiB}
          edge: {capacity: {items: 9, bytes: 1MiB}, overflow: drop_oldest}
        stages:
          load: {call: "steps:load"}
          clean:
            call: steps:clean
            inputs: {from: load, capacity: 4}
            env: {B: 3}
            resources: {threads: 2}
          own:
            call: steps:clean
            inputs: {from: load, overflow: block}
            replicas: 1
            on_error: stop
        """
    )

    load_stage, clean, own = made.stages
    assert (clean.replicas, clean.replicas_given, clean.on_error.then) == (3, False, OnError.SKIP)
    assert clean.env == {"A": "1", "B": "3"}
    assert clean.resources == Resources(threads=2, memory=2**30)
    assert clean.edges[0].capacity == Capacity(items=4, bytes=2**20)
    assert clean.edges[0].overflow is Overflow.DROP_OLDEST
    assert (own.replicas, own.replicas_given, own.on_error.then) == (1, True, OnError.STOP)
    assert own.edges[0].overflow is Overflow.BLOCK
    assert (load_stage.replicas, load_stage.on_error.then) == (1, OnError.STOP)


def test_default_replicas_do_not_reach_stages_that_keep_state() -> None:
    made = pipeline(
        """
        defaults: {replicas: auto, on_error: skip}
        stages:
          load: {use: range, with: {stop: 3}}
          mean: {call: "steps:rolling", inputs: load}
          count: {call: "steps:Count", inputs: mean}
          keyed: {call: "steps:Count", inputs: load, partition: {key: item}}
          save: {use: jsonl.write, inputs: load, with: {path: out.jsonl}}
        """
    )

    assert [(one.name, one.replicas) for one in made.stages] == [
        ("load", 1),
        ("mean", 1),
        ("count", 1),
        ("keyed", None),
        ("save", 1),
    ]
    assert made.stages[1].on_error == ErrorPolicy()  # a stream function knows no other


def test_limits_are_read_in_bytes() -> None:
    made = pipeline("limits: {memory: 4GiB, processes: 64}\nstages: {load: {call: 'steps:load'}}")

    assert (made.limits.memory, made.limits.processes) == (4 * 2**30, 64)
    assert (made.limits_at.line, made.limits_at.column) == (1, 1)


def test_parameters_of_an_operator_are_judged_by_its_declaration() -> None:
    made = stage("use: range\nwith: {stop: 10, step: 2}")

    assert isinstance(made.work, Use)
    assert made.parameters == {"stop": 10, "step": 2}
    assert codes("use: range\nwith: {stpo: 10}") == ["unknown-parameter"]
    assert codes("use: range") == ["missing-key"]
    assert codes("use: range\nwith: {stop: ten}") == ["bad-value"]
    assert codes("use: rnage\nwith: {stop: 10}") == ["unknown-operator"]


def test_an_expression_must_be_python() -> None:
    assert codes("use: filter\ninputs: load\nwith: {where: 'item >'}") == ["bad-expression"]
    assert codes("use: filter\ninputs: load\nwith: {where: 'item = 3'}") == ["bad-expression"]
    assert codes("call: steps:clean\ninputs: load\npartition: {key: 'item['}") == ["bad-expression"]
    assert codes("use: filter\ninputs: load\nwith: {where: 'item > 3'}") == []


def test_a_name_that_no_expression_has_is_a_doubt() -> None:
    def where(text: str) -> list[str]:
        return codes(f"use: filter\ninputs: load\nwith: {{where: '{text}'}}")

    assert where("itme > 3") == ["unknown-name"]
    assert where("np.any(item)") == ["unknown-name"]
    assert where("[x for x in item if len(x) > params.n]") == []
    assert where("(lambda a, *b: a)(item) and (c := math.pi) > c") == []


def test_a_name_as_yaml_writes_it_is_told_as_python_does() -> None:
    result = loaded(
        "stages:\n  load: {call: 'steps:load'}\n  it:\n    use: filter\n    inputs: load\n"
        "    with: {where: 'item == true'}\n"
    )

    (finding,) = result.findings
    assert finding.hint is not None
    assert finding.hint.startswith("did you mean 'True'?")


def test_an_expression_of_several_lines_says_in_which_line_it_is_wrong() -> None:
    result = loaded(
        "stages:\n  load: {call: 'steps:load'}\n  it:\n    use: filter\n    inputs: load\n"
        "    with:\n      where: |\n        (item and\n        3 + * 4)\n"
    )

    (finding,) = result.findings
    assert finding.problem.endswith("in its line 2: 3 + * 4)")


def test_an_expression_knows_what_it_sees_when_it_runs() -> None:
    assert {"params", *MODULES} == set(NAMES)


def test_nothing_is_filled_in_inside_an_expression() -> None:
    made = stage("use: filter\ninputs: load\nwith: {where: 'item != \"$${X}\"'}")

    assert made.parameters == {"where": 'item != "$${X}"'}
    assert codes("use: filter\ninputs: load\nwith: {where: 'item != \"${env.X}\"'}") == [
        "reference-in-expression"
    ]


def test_a_quoted_expression_may_hold_a_comment_sign() -> None:
    made = stage("use: filter\ninputs: load\nwith:\n  where: 'item == \"# b\"'")

    assert made.parameters == {"where": 'item == "# b"'}


def test_output_ports_of_pipeflow_cannot_be_declared_again() -> None:
    assert codes("call: steps:clean\ninputs: load\noutputs: [masks, errors]") == ["bad-output"]
    assert codes("call: steps:clean\ninputs: load\noutputs: [a, a]") == ["duplicate-name"]
    assert codes("use: map\ninputs: load\nwith: {expr: item}\noutputs: [a]") == ["bad-output"]


def test_a_source_of_ones_own_and_a_stream_know_only_stop() -> None:
    assert codes("call: steps:load\non_error: skip") == ["bad-on-error"]
    assert codes("call: steps:rolling\ninputs: load\non_error: skip") == ["bad-on-error"]
    assert codes("call: steps:load\non_error: stop") == []


def test_a_timeout_is_for_stages_that_are_called_with_single_items() -> None:
    assert stage("call: steps:clean\ninputs: load\ntimeout: 1m30s").timeout_s == 90.0
    assert codes("call: steps:load\ntimeout: 3s") == ["bad-timeout"]
    assert codes("call: steps:rolling\ninputs: load\ntimeout: 3s") == ["bad-timeout"]
    assert codes("use: take\ninputs: load\nwith: {n: 2}\ntimeout: 3s") == ["bad-timeout"]
    assert codes("call: steps:clean\ninputs: load\ntimeout: 0s") == ["out-of-range"]
    assert codes("call: steps:clean\ninputs: load\ntimeout: 3") == ["duration"]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("skip", ErrorPolicy(then=OnError.SKIP)),
        ("{}", ErrorPolicy()),
        ("{retries: 2}", ErrorPolicy(retries=2, backoff_s=0.2)),
        ("{retries: 2, backoff: 0s}", ErrorPolicy(retries=2, backoff_s=0.0)),
        (
            "{then: dead_letter, retries: 3, backoff: 1m30s, budget: 100}",
            ErrorPolicy(then=OnError.DEAD_LETTER, retries=3, backoff_s=90.0, budget=Budget(100)),
        ),
        (
            "{then: skip, budget: 0.5%}",
            ErrorPolicy(then=OnError.SKIP, budget=Budget(0.5, percent=True)),
        ),
    ],
)
def test_an_error_policy_is_a_word_or_a_mapping(text: str, policy: ErrorPolicy) -> None:
    assert stage(f"call: steps:clean\ninputs: load\non_error: {text}").on_error == policy


def test_an_error_policy_may_come_from_the_environment() -> None:
    made = stage(
        """
        call: steps:clean
        inputs: load
        on_error:
          then: ${env.THEN}
          retries: ${env.TRIES}
          backoff: ${env.PAUSE}
          budget: ${env.MOST}
        """,
        THEN="skip",
        TRIES="4",
        PAUSE="2s",
        MOST="7",
    )

    assert made.on_error == ErrorPolicy(
        then=OnError.SKIP, retries=4, backoff_s=2.0, budget=Budget(7)
    )


def test_a_policy_is_at_its_word_or_at_the_key_of_its_mapping() -> None:
    short = stage("call: steps:clean\ninputs: load\non_error: skip").on_error_at
    long = stage("call: steps:clean\ninputs: load\non_error: {then: skip}").on_error_at

    assert (short.line, short.column) == (7, 15)
    assert (long.line, long.column) == (7, 5)


def test_a_default_policy_reaches_each_stage_as_far_as_it_can_have_it() -> None:
    made = pipeline(
        """
        defaults: {on_error: {then: skip, retries: 3, budget: 1%}}
        stages:
          load: {call: "steps:load"}
          read: {use: jsonl.read, with: {path: in.jsonl}}
          clean: {call: "steps:clean", inputs: load}
          roll: {call: "steps:rolling", inputs: load}
        """
    )
    budget = Budget(1, percent=True)

    assert [one.on_error for one in made.stages] == [
        ErrorPolicy(),
        ErrorPolicy(then=OnError.SKIP, budget=budget),  # a source has no item to try again
        ErrorPolicy(then=OnError.SKIP, retries=3, budget=budget),
        ErrorPolicy(),
    ]


def test_a_join_needs_named_inputs() -> None:
    assert codes("call: steps:clean\ninputs: load\njoin: zip") == ["bad-join"]


def test_an_async_function_is_a_stage_like_others() -> None:
    made = stage("call: steps:fetch\ninputs: load\nconcurrency: 4")

    assert isinstance(made.work, Call)
    assert made.work.facts.is_async
    assert (made.concurrency, stage("call: steps:fetch\ninputs: load").concurrency) == (4, 16)


@pytest.mark.parametrize(
    ("text", "batch"),
    [
        ("64", Batching(size=64)),
        ("{size: 64}", Batching(size=64)),
        ("{size: 8, wait: 50ms, stack: true}", Batching(size=8, wait_s=0.05, stack=True)),
    ],
)
def test_a_batch_has_a_short_form_and_a_long_one(text: str, batch: Batching) -> None:
    assert stage(f"call: steps:clean\ninputs: load\nbatch: {text}").batch == batch


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("call: steps:load\nbatch: 4", "bad-batch"),
        ("call: steps:rolling\ninputs: load\nbatch: 4", "bad-batch"),
        ("use: print\ninputs: load\nbatch: 4", "bad-batch"),
        ("call: steps:clean\ninputs: load\nbatch: 0", "out-of-range"),
        ("call: steps:clean\ninputs: load\nbatch: {wait: 1s}", "missing-key"),
        ("call: steps:clean\ninputs: load\nbatch: {size: 2, wait: 3}", "duration"),
        ("call: steps:clean\ninputs: load\nbatch: {size: 2, linger: 3s}", "unknown-key"),
        ("call: steps:clean\ninputs: load\nbatch: many", "bad-value"),
        ("call: steps:clean\ninputs: load\nconcurrency: 4", "bad-concurrency"),
        ("call: steps:rolling\ninputs: load\nconcurrency: 4", "bad-concurrency"),
        ("use: print\ninputs: load\nconcurrency: 4", "bad-concurrency"),
        ("call: steps:fetch\ninputs: load\nconcurrency: 0", "out-of-range"),
        ("call: steps:rolled\ninputs: load", "async-stream"),
    ],
)
def test_what_cannot_get_lists_or_cannot_wait_for_many_says_so(text: str, code: str) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize("key", ["checkpoint", "restart"])
def test_a_top_level_word_of_a_later_version_is_known_as_one(key: str) -> None:
    result = loaded(f"{key}: {{}}\nstages: {{load: {{call: 'steps:load'}}}}")

    assert [finding.code for finding in result.findings] == ["not-yet"]


@pytest.mark.parametrize(
    ("promise", "expected"),
    [
        ("stop", []),
        ("at-least-once", ["not-yet"]),
        ("exactly-once", ["not-yet"]),
        ("exactly-onc", ["bad-value"]),
        ("{}", ["wrong-type"]),
    ],
)
def test_of_what_may_be_promised_when_a_process_dies_there_is_one_so_far(
    promise: str, expected: list[str]
) -> None:
    result = loaded(f"delivery: {promise}\nstages: {{load: {{call: 'steps:load'}}}}")

    assert [finding.code for finding in result.findings] == expected


def test_a_stage_with_mistakes_is_still_there_for_the_planner() -> None:
    result = loaded(
        """
        stages:
          load: {call: "steps:laod"}
          clean: {call: "steps:clean", inputs: load, replicas: -1}
          odd: 3
        """
    )

    assert result.pipeline is not None
    assert not result.complete
    assert [one.name for one in result.pipeline.stages] == ["load", "clean", "odd"]
    assert [edge.source.stage for edge in result.pipeline.stages[1].edges] == ["load"]


def test_a_stage_with_unknown_inputs_does_not_pass_for_a_source() -> None:
    result = loaded("stages: {load: {call: 'steps:load'}, clean: {call: 'steps:clean', inputs: 3}}")

    assert [finding.code for finding in result.findings] == ["wrong-type"]
