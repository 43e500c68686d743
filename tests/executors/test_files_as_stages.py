"""Stages of inner files run as if they stood in the outer one: same ids, order, ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeflow.telemetry.events import ItemDeadLettered, WorkerReady
from tests.executors.judging import succeeded
from tests.executors.running import EXECUTORS, Outcome, run

pytestmark = [pytest.mark.processes, pytest.mark.parametrize("executor", EXECUTORS)]

NUMBERS = {"call": "shapes:numbers", "with": {"stop": 20}}

#: Odd numbers are dead letters; the others are multiplied, in the inner file's own folder.
INNER = """\
params: {factor: {type: integer, minimum: 1}}
inputs: [xs]
outputs: {out: times, odd: sift.odd}
stages:
  sift: {call: 'own:sift', inputs: xs, outputs: [odd], on_error: dead_letter}
  times: {pipeline: deeper/times.yaml, inputs: sift, with: {n: "${params.factor}"}}
"""
DEEPER = """\
params: {n: 1}
inputs: [xs]
outputs: {out: product}
stages:
  product:
    call: 'own:Product'
    inputs: xs
    with: {n: "${params.n}"}
    replicas: 2
    partition: {key: 'item % params["n"]'}
"""
OWN = """\
import pipeflow

def sift(x):
    if x == 13:
        raise ValueError("unlucky")
    return pipeflow.to("odd", x) if x % 2 else x
"""
#: Another module of the same name, in another folder.
DEEPER_OWN = """\
class Product:
    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, x: int) -> int:
        return x * self.n
"""


def files(folder: Path, *, deeper_module: str = "own") -> None:
    (folder / "inner" / "deeper").mkdir(parents=True)
    (folder / "inner" / "sift.yaml").write_text(INNER)
    (folder / "inner" / "own.py").write_text(OWN)
    text = DEEPER.replace("own:", f"{deeper_module}:")
    (folder / "inner" / "deeper" / "times.yaml").write_text(text)
    (folder / "inner" / "deeper" / f"{deeper_module}.py").write_text(DEEPER_OWN)


def part(factor: int, inputs: str = "source") -> dict[str, object]:
    return {"pipeline": "inner/sift.yaml", "inputs": inputs, "with": {"factor": factor}}


def test_items_pass_through_files_in_files_with_their_ids(tmp_path: Path, executor: str) -> None:
    files(tmp_path, deeper_module="products")
    stages = {
        "source": NUMBERS,
        "part": part(3),
        "even": {"keep": "part"},
        "odd": {"keep": "part.odd"},
        "letters": {"keep": "part.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.kept["even"] == [((0, n), 3 * n) for n in range(0, 20, 2)]
    assert outcome.kept["odd"] == [((0, n), n) for n in range(1, 20, 2) if n != 13]
    (letter,) = outcome.items("letters")
    assert (letter["id"], letter["stage"]) == ("source:13", "part/sift")
    assert outcome.stage("part/sift").dead_lettered == 1
    assert outcome.edge("part/sift.out", "part/times/product").sent == 10
    told = [event.stage for event in outcome.events if isinstance(event, ItemDeadLettered)]
    assert told == ["part/sift"]
    ready = {event.stage for event in outcome.events if isinstance(event, WorkerReady)}
    assert {"part/sift", "part/times/product"} <= ready


def test_one_file_may_be_run_by_several_stages_with_other_params(
    tmp_path: Path, executor: str
) -> None:
    files(tmp_path, deeper_module="products")
    stages = {
        "source": NUMBERS,
        "two": part(2),
        "five": part(5),
        "both": {"call": "shapes:add", "inputs": {"left": "two", "right": "five"}},
        "sink": {"keep": "both"},
        "letters": {"keep": ["two.errors", "five.errors"]},
    }
    (tmp_path / "sums.py").write_text("def add(left, right):\n    return left, right\n")
    stages["both"]["call"] = "sums:add"  # type: ignore[index]  # of a mixed mapping

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    # The two ways part and meet again inside and outside of files: pairs by item id.
    assert outcome.kept["sink"] == [((0, n), [2 * n, 5 * n]) for n in range(0, 20, 2)]
    assert len(outcome.items("letters")) == 2


def test_a_source_inside_a_file_numbers_its_items_under_its_whole_name(
    tmp_path: Path, executor: str
) -> None:
    (tmp_path / "counts.yaml").write_text(
        "outputs: {out: count}\nstages:\n  count: {use: range, with: {stop: 3}}\n"
    )
    (tmp_path / "fails.py").write_text("def fails(x):\n    raise ValueError(x)\n")
    stages = {
        "src": {"pipeline": "counts.yaml"},
        "fails": {"call": "fails:fails", "inputs": "src", "on_error": "dead_letter"},
        "letters": {"keep": "fails.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert [each["id"] for each in outcome.items("letters")] == [f"src/count:{n}" for n in range(3)]


def test_a_whole_pipeline_may_be_a_stage(tmp_path: Path, executor: str) -> None:
    out = tmp_path / "out.jsonl"
    (tmp_path / "whole.yaml").write_text(
        "params: {to: {type: path}}\nstages:\n  count: {use: range, with: {stop: 3}}\n"
        '  save: {use: jsonl.write, inputs: count, with: {path: "${params.to}"}}\n'
    )

    outcome = run(tmp_path, {"it": {"pipeline": "whole.yaml", "with": {"to": str(out)}}}, executor)

    succeeded(outcome)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [0, 1, 2]


def test_a_class_of_one_folder_reaches_the_stages_of_another(tmp_path: Path, executor: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "boxes.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass\nclass Box:\n    value: int\n\n"
        "def box(x):\n    return Box(x)\n"
    )
    (inner / "box.yaml").write_text(
        "inputs: [xs]\noutputs: {out: box}\nstages:\n  box: {call: 'boxes:box', inputs: xs}\n"
    )
    (tmp_path / "opens.py").write_text("def opens(box):\n    return box.value\n")
    stages = {
        "source": NUMBERS,
        "box": {"pipeline": "inner/box.yaml", "inputs": "source"},
        "opens": {"call": "opens:opens", "inputs": "box"},
        "sink": {"keep": "opens"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == list(range(20))


def test_modules_of_one_name_in_two_folders_need_processes(tmp_path: Path, executor: str) -> None:
    files(tmp_path)
    stages = {
        "source": NUMBERS,
        "part": part(3),
        "even": {"keep": "part"},
        "letters": {"keep": "part.errors"},
    }

    outcome = run(tmp_path, stages, executor)

    if executor == "local":
        succeeded(outcome)
        assert outcome.items("even") == [3 * n for n in range(0, 20, 2)]
    else:
        (error,) = outcome.report.errors
        assert error.message.startswith("there are two modules 'own', one of them in ")
        assert "--executor local" in error.message
        assert outcome.report.ledger.findings == ()


def test_a_disabled_stage_with_a_file_is_passed_by(tmp_path: Path, executor: str) -> None:
    files(tmp_path)
    stages = {
        "source": NUMBERS,
        "part": {"pipeline": "inner/deeper/times.yaml", "inputs": "source", "enabled": False},
        "sink": {"keep": "part"},
    }

    outcome = run(tmp_path, stages, executor)

    succeeded(outcome)
    assert outcome.items("sink") == list(range(20))
    assert [stage.name for stage in outcome.report.stages] == ["source", "sink"]


def run_with_products(folder: Path, executor: str, products: str) -> Outcome:
    """Run the inner files with another module at the bottom."""
    files(folder, deeper_module="products")
    (folder / "inner/deeper/products.py").write_text(products)
    stages = {
        "source": NUMBERS,
        "part": part(3),
        "sink": {"keep": "part"},
        "letters": {"keep": "part.errors"},
    }
    return run(folder, stages, executor)


def test_an_error_at_the_bottom_ends_the_run_at_its_place(tmp_path: Path, executor: str) -> None:
    text = DEEPER_OWN.replace("return x * self.n", "return 1 // (x - 4)")

    outcome = run_with_products(tmp_path, executor, text)

    (error,) = outcome.report.errors
    assert (error.stage, error.item) == ("part/times/product", "source:4")
    assert error.at == f"{tmp_path}/inner/deeper/times.yaml:5:3"
    assert outcome.report.ledger.findings == ()


def test_what_cannot_be_loaded_at_the_bottom_is_told_at_its_call(
    tmp_path: Path, executor: str
) -> None:
    outcome = run_with_products(tmp_path, executor, "import missing\n" + DEEPER_OWN)

    (error,) = outcome.report.errors
    assert (error.stage, error.type) == ("part/times/product", "ModuleNotFoundError")
    assert error.at == f"{tmp_path}/inner/deeper/times.yaml:6:11"


def test_fused_stages_are_those_of_one_folder(tmp_path: Path, executor: str) -> None:
    files(tmp_path)
    stages = {
        "source": NUMBERS,
        "before": {"call": "shapes:square", "inputs": "source"},
        "part": part(3, "before"),
        "after": {"call": "shapes:square", "inputs": "part"},
        "sink": {"keep": "after"},
        "letters": {"keep": "part.errors"},
    }
    if executor == "inline":
        files_of_other_names = tmp_path / "other"
        files_of_other_names.mkdir()
        files(files_of_other_names, deeper_module="products")
        stages["part"] = {**part(3, "before"), "pipeline": "other/inner/sift.yaml"}

    outcome = run(tmp_path, stages, executor, fuse=executor == "local")

    succeeded(outcome)
    assert outcome.items("sink") == [(3 * n * n) ** 2 for n in range(0, 20, 2)]
