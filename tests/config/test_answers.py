"""Whether the source of a function tells that it gives results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.parts import facts

STAGES = """
def gives(x): return x

def ends(x):
    if x: return
    return None

def yields(x) -> None: yield x

def hands_on(x) -> None: return print(x)

def as_text(x) -> "None": return print(x)

async def awaits(x) -> None: return await x

class Writes:
    def __call__(self, x) -> None: return print(x)

class Tells:
    def __call__(self, x) -> None: return print(x)
    def finish(self): return 3
"""


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("gives", True),
        ("ends", False),
        ("yields", True),
        ("hands_on", None),  # it returns what it is said not to return: believe neither
        ("as_text", None),
        ("awaits", None),
        ("Writes", None),
        ("Tells", True),
    ],
)
def test_a_function_that_is_said_to_give_nothing_is_not_thought_to_give_something(
    tmp_path: Path, name: str, answers: bool | None
) -> None:
    (tmp_path / "made.py").write_text(STAGES)

    assert facts(f"made:{name}", str(tmp_path)).answers is answers
