"""A plan as people and programs see it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pipeflow.planner.explain import graph_dot, graph_mermaid, graph_text, plan_json, plan_text
from pipeflow.planner.make import make_plan
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.policies import ArrayMode, Budget, ErrorPolicy, OnError, Overflow
from pipeflow.spec.shared import Shared, SharedKind, SharedRef
from tests.planner.building import FILES, FLAT_MAP, MACHINE, SAVE, WRITER, at, pipeline, stage


def photos() -> Pipeline:
    return pipeline(
        stage("find", "", FILES),
        stage("load", "find", replicas=None, on_error=OnError.DEAD_LETTER),
        stage("mask", "load", edge={"arrays": ArrayMode.COPY}),
        stage("off", "mask", enabled=False),
        stage("pair", {"a": "load", "b": "off"}, SAVE),
        stage("bad", "load.errors", WRITER, edge={"overflow": Overflow.DROP_OLDEST}),
        stage("stats", "find"),
    )


def test_the_text_shows_processes_stages_edges_notes_and_memory() -> None:
    text = plan_text(make_plan(photos(), MACHINE))

    assert (
        text
        == """\
p (p.yaml): 13 processes on 4 cores
memory: shared arrays up to 4 GiB; all edges together up to 576 MiB
open files: at most 190 in one process

stages
  find   files        source    generator  1 worker   1 thread
  load   work:load    operator  function   4 workers  1 thread each  <- find; \
on error: dead_letter; isolated
  mask   work:mask    operator  function   1 worker   1 thread       <- load
  pair   work:pair    sink      function   1 worker   1 thread       <- a=load, b=mask (zip by id)
  bad    jsonl.write  sink      class      1 worker   1 thread       <- load.errors
  stats  work:stats   sink      function   1 worker   1 thread       <- find

edges
  find -> load        pipe  to whoever has room  256 items and 64 MiB for each of 4 readers
  load -> mask        pipe  to one worker        256 items and 64 MiB; arrays: copy
  load -> pair        pipe  to one worker        256 items and 64 MiB
  mask -> pair        pipe  to one worker        256 items and 64 MiB
  load.errors -> bad  pipe  to one worker        256 items and 64 MiB; overflow: drop_oldest
  find -> stats       pipe  to one worker        256 items and 64 MiB

note: stage 'off' is disabled: its readers read 'mask' instead
note: replicas of 'load': auto = 4 of 4 cores (affinity and cgroup)
note: 13 processes share 4 cores (affinity and cgroup): while all of them are busy each gets 31 % \
of a core; those that wait take none of it
"""
    )


def test_a_plan_of_one_stage_has_no_table_of_edges() -> None:
    text = plan_text(make_plan(pipeline(stage("tick", "", SAVE)), MACHINE))

    assert (
        text
        == """\
p (p.yaml): 1 process on 4 cores
memory: shared arrays up to 4 GiB; all edges together up to 0 bytes
open files: at most 74 in one process

stages
  tick  work:tick  source  function  1 worker  4 threads
"""
    )


def test_the_json_goes_by_names_and_can_be_written() -> None:
    plan = make_plan(photos(), MACHINE)
    shown = plan_json(plan)

    again = json.loads(json.dumps(shown))
    assert again["processes"] == 13
    assert again["cores"] == 4
    assert again["start_order"][-1] == "find"
    assert again["stages"][1] == {
        "name": "load",
        "call": "work:load",
        "role": "operator",
        "shape": "function",
        "level": 1,
        "replicas": 4,
        "threads": 1,
        "keeps_state": False,
        "join": "merge",
        "within": None,
        "inputs": ["find"],
        "ports": ["out", "errors"],
        "on_error": "dead_letter",
        "retries": 0,
        "backoff_s": None,
        "budget": None,
        "timeout_s": None,
        "batch": None,
        "concurrency": None,
        "isolated": True,
        "at": "p.yaml:3:3",
    }
    assert again["edges"][3] == {
        "from": "mask.out",
        "to": "pair",
        "input": "b",
        "transport": "pipe",
        "route": "single",
        "capacity": {"items": 256, "bytes": 67108864},
        "overflow": "block",
        "arrays": "shared",
        "ordered": True,
        "at": "p.yaml:6:52",
    }
    assert [note.split(":")[0] for note in again["notes"]] == [
        "stage 'off' is disabled",
        "replicas of 'load'",
        "13 processes share 4 cores (affinity and cgroup)",
    ]


def small() -> Pipeline:
    return pipeline(
        stage("find", "", FILES),
        stage("cut", "find", replicas=2, outputs=("masks",)),
        stage("pair", {"image": "cut", "mask": "cut.masks"}, SAVE),
    )


def test_a_graph_as_text() -> None:
    assert (
        graph_text(small())
        == """\
p

find  (files)
  └──> cut

cut  (work:cut, 2 replicas)
  ├─ as image ─> pair
  └─ masks as mask ─> pair

pair  (work:pair)
"""
    )


def test_a_graph_for_mermaid() -> None:
    assert (
        graph_mermaid(small())
        == """\
flowchart LR
    s0(["find<br/>files"])
    s1["cut<br/>work:cut, 2 replicas"]
    s2[["pair<br/>work:pair"]]
    s0 --> s1
    s1 -->|"as image"| s2
    s1 -->|"masks as mask"| s2
"""
    )


def test_a_graph_for_graphviz() -> None:
    assert (
        graph_dot(small())
        == """\
digraph "p" {
    rankdir=LR;
    node [shape=box];
    "find" [label="find\\nfiles" shape=ellipse];
    "cut" [label="cut\\nwork:cut, 2 replicas"];
    "pair" [label="pair\\nwork:pair"];
    "find" -> "cut";
    "cut" -> "pair" [label="as image"];
    "cut" -> "pair" [label="masks as mask"];
}
"""
    )


def test_a_plan_is_drawn_as_its_pipeline_with_the_replicas_decided() -> None:
    automatic = pipeline(stage("find"), stage("save", "find", SAVE, replicas=None))

    assert "(work:save, replicas: auto)" in graph_text(automatic)
    assert "(work:save, 4 replicas)" in graph_text(make_plan(automatic, MACHINE))


def test_names_cannot_break_out_of_a_drawing() -> None:
    odd = pipeline(stage('a"]<b>#', "", SAVE))

    assert 's0(["a#quot;]#lt;b#gt;#35;<br/>' in graph_mermaid(odd)
    assert '"a\\"]<b>#"' in graph_dot(odd)


def test_a_long_policy_is_told_in_full() -> None:
    policy = ErrorPolicy(
        then=OnError.SKIP, retries=3, backoff_s=0.2, budget=Budget(0.5, percent=True)
    )
    plan = make_plan(pipeline(stage("find"), stage("load", "find", on_error=policy)), MACHINE)

    assert "on error: skip after 3 retries from 0.2 s on, at most 0.5%" in plan_text(plan)
    told = plan_json(plan)["stages"]
    assert isinstance(told, list)
    assert {key: told[1][key] for key in ("on_error", "retries", "backoff_s", "budget")} == {
        "on_error": "skip",
        "retries": 3,
        "backoff_s": 0.2,
        "budget": "0.5%",
    }


def test_shared_state_is_shown_with_who_uses_it_and_the_manager_is_counted() -> None:
    seen = Shared(name="seen", kind=SharedKind.DICT, at=at(1))
    grid = Shared(name="grid", kind=SharedKind.ARRAY, at=at(1), dtype="float32", shape=(2, 256))
    given = {"a": SharedRef("seen"), "b": [SharedRef("grid")]}
    whole = pipeline(stage("load", work=FLAT_MAP, parameters=given), stage("save", "load", SAVE))

    plan = make_plan(replace(whole, shared=(seen, grid)), MACHINE)

    text = plan_text(plan)
    assert "3 processes on 4 cores, one of them the manager of what stages share" in text
    assert "seen  dict                       in the manager process" in text
    assert "grid  array of float32, 2 x 256  in shared memory" in text
    assert plan.memory == MACHINE.memory // 2 - 2048
    shown: Any = plan_json(plan)
    assert [each["stages"] for each in shown["shared"]] == [["load"], ["load"]]
    assert (shown["processes"], shown["shared"][1]["bytes"]) == (3, 2048)
