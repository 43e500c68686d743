"""What the ablation takes out of the item loop: all that counts, and nothing else."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from pipeflow.runtime.board import HAND, WORKER_WORDS, begin_row
from pipeflow.runtime.loops import stretch
from tests.benchmarks.ablation import PLACES, Finder, Less, Uncounted
from tests.benchmarks.programs import ROOT

CODE = """\
def step(self, row, words, item):
    row[RECEIVED] = begun = begun + 1
    row[last] = item
    row[HAND], row[HAND_DEPTH] = item, 1
    self._row[BUSY_NS] += self.spent()
    words[_CREDITS] += 1
    if item:
        self.ports[0].row[DELIVERED] += 1
    return row[RECEIVED]
"""


def without(less: Less, code: str) -> tuple[str, list[str]]:
    transformer = Uncounted(less)
    tree = transformer.visit(ast.parse(code))
    return ast.unparse(tree), transformer.dropped


def all_dropped(less: Less) -> set[str]:
    """Names of all that is taken out of the modules that are compiled anew."""
    files = [file for file in (ROOT / "pipeflow").rglob("*.py") if _name(file).startswith(PLACES)]
    assert files
    return {name for file in files for name in without(less, file.read_text())[1]}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def test_what_counts_goes_and_what_the_code_needs_stays() -> None:
    code, _ = without(Less.HAND_TOO, CODE)

    assert code == (
        "def step(self, row, words, item):\n"
        "    begun = begun + 1\n"
        "    words[_CREDITS] += 1\n"
        "    if item:\n"
        "        pass\n"
        "    return row[RECEIVED]"
    )


def test_the_item_in_hand_is_no_counter() -> None:
    code, _ = without(Less.COUNTERS, CODE)

    assert "row[last] = item" in code
    assert "row[HAND], row[HAND_DEPTH] = (item, 1)" in code
    assert "DELIVERED" not in code


def test_a_count_goes_though_it_is_stored_together_with_what_stays() -> None:
    code = "row[last], row[ROW_BASE] = first, old\nself.hand, row[HAND], row[TURNS] = x, y, z"

    assert without(Less.COUNTERS, code) == (
        "row[last] = first\nself.hand, row[HAND] = (x, y)",
        ["ROW_BASE", "TURNS"],
    )
    assert without(Less.HAND_TOO, code)[0] == "self.hand = x"


def test_what_only_counts_is_not_even_called() -> None:
    code = "note_edge(row, edge)\nput_hand(row, item)\nend_row(row)"

    assert without(Less.COUNTERS, code)[0] == "put_hand(row, item)"
    assert without(Less.NOTHING, code)[0] == code


def test_nothing_is_taken_out_of_what_is_compared_with() -> None:
    assert without(Less.NOTHING, CODE) == (ast.unparse(ast.parse(CODE)), [])


@pytest.mark.parametrize(
    "cell", ["RECEIVED", "PROCESSED", "SENT", "DELIVERED", "BUSY_NS", "WAIT_IN_NS", "PEAK"]
)
def test_there_are_counters_to_take_out(cell: str) -> None:
    assert cell in all_dropped(Less.COUNTERS)


@pytest.mark.parametrize("less", Less)
def test_what_is_left_of_each_module_compiles(less: Less) -> None:
    for file in (ROOT / "pipeflow").rglob("*.py"):
        if _name(file).startswith(PLACES):
            compile(without(less, file.read_text())[0], str(file), "exec")


def test_a_run_can_still_be_asked_to_end() -> None:
    assert "DRAIN" not in all_dropped(Less.HAND_TOO)


def test_there_is_an_item_in_hand_to_take_out() -> None:
    assert {"HAND", "last"} <= all_dropped(Less.HAND_TOO)
    assert all(importlib.util.find_spec(place.rstrip(".")) for place in PLACES)


def test_loops_in_c_lose_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("setuptools", reason="only what builds pipeflow brings it")
    if not stretch.COMPILED:
        pytest.skip("no compiler was found when pipeflow was installed")
    folder = [str(ROOT / "pipeflow" / "runtime" / "loops" / "stretch")]
    finder = Finder(Less.HAND_TOO, tmp_path)

    name = "pipeflow.runtime.loops.stretch._compiled"
    found = finder.find_spec(name, folder)

    assert found is not None
    assert found.loader is not None
    monkeypatch.setitem(sys.modules, name, sys.modules[name])  # it puts itself there
    made = importlib.util.module_from_spec(found)
    assert made.__file__ is not None
    assert made.__file__.startswith(str(tmp_path))
    row = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    marks = begin_row(row, 0, (3,), range(7, 9))
    made.call(abs, [-1, -2], 0, 2, marks, [], None, b"\1", False, False)
    assert row[HAND + 1] == 7  # of the first, by ``begin_row``; nothing noted the second
