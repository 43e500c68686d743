"""nested.yaml: what files in files find is what one process finds."""

from __future__ import annotations

import ast
import json
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Example

pytestmark = pytest.mark.processes

PACKAGES: Final = ("asyncio", "email", "http", "json", "logging", "xml")
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def longest(kinds: tuple[type[ast.AST], ...], count: int) -> list[tuple[str, int]]:
    """The longest definitions of a kind, found without pipeflow."""
    found: dict[str, int] = {}
    library = Path(sysconfig.get_path("stdlib"))
    for file in (file for package in PACKAGES for file in (library / package).rglob("*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        for node in (node for node in ast.walk(tree) if isinstance(node, kinds)):
            assert isinstance(node, (*FUNCTIONS, ast.ClassDef))
            lines = (node.end_lineno or 0) - node.lineno + 1
            # Two files of one name may each have one of a name in the same line.
            name = f"{node.name} ({file.name}:{node.lineno})"
            found[name] = found.get(name, 0) + lines
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:count]


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_files_in_files_find_what_one_process_finds(executor: str, example: Example) -> None:
    run = example("nested", executor)

    rows = [json.loads(line) for line in run.stdout.splitlines()]
    told = [(row["value"], row["count"]) for row in rows]
    functions, classes = longest(FUNCTIONS, 5), longest((ast.ClassDef,), 3)
    assert sorted(told) == sorted([*functions, *classes])


def test_both_executors_count_the_same_at_every_stage(example: Example) -> None:
    counts = [
        {
            stage["name"]: (stage["received"], stage["emitted"])
            for stage in example("nested", executor).report["stages"]
        }
        for executor in ("local", "inline")
    ]

    assert counts[0] == counts[1]
    assert {"functions/texts/read", "classes/find", "unreadable"} <= counts[0].keys()
