"""A module beside the file may bear the name of one that pipeflow itself uses, and loads late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.executors.running import EXECUTORS, run

pytestmark = pytest.mark.processes

#: What is only loaded for keys, for operators, for what fails.
TAKEN = ("ast", "decimal", "json", "linecache", "queue", "textwrap", "traceback", "zlib")


@pytest.mark.parametrize(
    ("executor", "start_method"), [*((each, "") for each in EXECUTORS), ("local", "spawn")]
)
def test_modules_of_the_authors_do_not_stand_in_for_those_that_pipeflow_loads_late(
    tmp_path: Path, executor: str, start_method: str
) -> None:
    for name in TAKEN:
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is the author\\'s own')\n")
    (tmp_path / "own.py").write_text(
        "def work(x: int) -> int:\n"
        "    if x == 2:\n"
        "        raise ValueError('unlucky')\n"
        "    return x\n"
    )

    outcome = run(
        tmp_path,
        {
            "numbers": {"use": "range", "with": {"stop": 5}},
            "work": {
                "call": "own:work",
                "inputs": "numbers",
                "replicas": 2,
                "partition": {"key": "item"},
                "on_error": "dead_letter",
            },
            "kept": {"keep": "work"},
            "broken": {"keep": "work.errors"},
        },
        executor,
        start_method=start_method,
    )

    assert outcome.report.ledger.balanced
    assert sorted(outcome.items("kept")) == [0, 1, 3, 4]
    (letter,) = outcome.items("broken")
    assert "raise ValueError('unlucky')" in letter["error"]["traceback"]
