"""``pipeflow validate`` as the full check: one real file for each thing that it must find."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeflow.cli.codes import CODES
from pipeflow.cli.main import main
from tests.cli.fakes import Theatre
from tests.config.test_project_schema import big_project

MODULE = """
from collections.abc import Iterator


def words() -> Iterator[str]:
    yield "a"


def plus(x: int, by: int, times: float = 1.0) -> int:
    return x + by


def forgets(x: int):
    x + 1


def several(x: int) -> Iterator[int]:
    yield x


def pair(left: int, right: int) -> int:
    return left + right


class Sum:
    def __call__(self, x: int) -> None: ...
    def finish(self) -> int: return 1
"""
SHOW = "  show: {use: print, inputs: it}\n"


def stages(*lines: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in lines)


S = "s: {use: range, with: {stop: 3}}"
PLUS = "call: 'work:plus', inputs: s"
FOUND = {
    "unknown-stage": stages(S, "it: {use: print, inputs: z}"),
    "unknown-port": stages(S, "it: {use: print, inputs: s.masks}"),
    "cycle": stages(S, "a: {use: map, inputs: b, with: {expr: item}}", "b: {use: map, inputs: a}"),
    "self-edge": stages(S, "it: {use: print, inputs: it}"),
    "unknown-module": stages("it: {call: 'wrok:words'}"),
    "unknown-attribute": stages("it: {call: 'work:wrods'}"),
    "unknown-operator": stages("it: {use: rnage}"),
    "unknown-parameter": stages(S, f"it: {{{PLUS}, with: {{by: 1, tmies: 2}}}}"),
    "missing-parameter": stages(S, f"it: {{{PLUS}}}"),
    "parameter-type": stages(S, f"it: {{{PLUS}, with: {{by: many}}}}"),
    "parameter-is-item": stages(S, f"it: {{{PLUS}, with: {{by: 1, x: 2}}}}"),
    "never-answers": stages(S, "it: {call: 'work:forgets', inputs: s}", SHOW.strip()),
    "item-types": stages(
        "w: {call: 'work:words'}", "it: {call: 'work:plus', inputs: w, with: {by: 1}}"
    ),
    "join-not-one-to-one": stages(
        S,
        "f: {call: 'work:several', inputs: s}",
        "it: {call: 'work:pair', inputs: {left: s, right: f}}",
    ),
    "join-drops": stages(
        S,
        "t: {use: range, with: {stop: 3}}",
        "f: {use: filter, inputs: t, with: {where: 'item'}}",
        "it: {call: 'work:pair', inputs: {left: s, right: f}}",
    ),
    "stateful-replicas": stages(S, "it: {call: 'work:Sum', inputs: s, replicas: 4}"),
    "unread-errors": stages(S, f"it: {{{PLUS}, with: {{by: 1}}, on_error: dead_letter}}"),
    "memory-limit": "limits: {memory: 1MiB}\n"
    + stages(S, "it: {use: print, inputs: s}", "z: {use: print, inputs: s}"),
    "too-many-processes": "limits: {processes: 1}\n" + stages(S, "it: {use: print, inputs: s}"),
    "not-yet": "delivery: exactly-once\n" + stages(S, "it: {use: print, inputs: s}"),
    "unknown-key": stages(S, "it: {use: print, inptus: s}"),
    "out-of-range": stages(S, "it: {use: print, inputs: {from: s, capacity: 0}}"),
    "missing-value": "stages: {a: ]",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(*arguments: str, stdin: str = "") -> tuple[int, Theatre]:
    theatre = Theatre()
    world = replace(theatre.world, stdin=io.StringIO(stdin))
    return main(["validate", *arguments], world), theatre


@pytest.mark.parametrize("code", FOUND)
def test_it_is_found_and_its_code_can_be_explained(folder: Path, code: str) -> None:
    (folder / "p.yaml").write_text(FOUND[code], encoding="utf-8")

    _, theatre = validate("p.yaml", "--format", "json")

    assert code in [row["code"] for row in json.loads(theatre.out)], theatre.out
    assert code in CODES


def test_a_module_beside_the_file_that_hides_a_library_is_a_doubt(folder: Path) -> None:
    (folder / "json.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "p.yaml").write_text(stages("it: {call: 'work:words'}", SHOW.strip()), "utf-8")

    lenient, theatre = validate("p.yaml")
    strict, _ = validate("p.yaml", "--strict")

    assert "warning[hidden-module]: the module 'json' beside this file hides" in theatre.out
    assert (lenient, strict) == (0, 2)


def test_standard_input_is_a_file_too(folder: Path) -> None:
    good, theatre = validate("-", stdin=stages(S, "it: {use: print, inputs: s}"))
    bad, told = validate("-", stdin=FOUND["unknown-stage"])

    assert (good, theatre.out) == (0, "-: ok\n")
    assert bad == 2
    assert told.out.startswith("<stdin>:3:28: error[unknown-stage]")


def test_each_of_many_files_is_told(folder: Path) -> None:
    for name in ("cycle", "item-types", "missing-value"):
        (folder / f"{name}.yaml").write_text(FOUND[name], encoding="utf-8")

    code, theatre = validate("cycle.yaml", "item-types.yaml", "missing-value.yaml")

    assert code == 2
    for name in ("cycle", "item-types", "missing-value"):
        assert f"[{name}]" in theatre.out
    assert theatre.err.endswith(" in 3 files\n")


def test_a_file_of_three_hundred_stages_takes_less_than_half_a_second(folder: Path) -> None:
    big_project(folder, stages=300)
    validate("big.yaml")  # what is loaded once

    begun = time.process_time()  # however busy the machine is
    code, _ = validate("big.yaml")
    took = time.process_time() - begun

    assert code == 0
    assert took < 0.5
