"""Pipeline files and modules in a folder, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from pipeflow.api import Reading, Settings, read
from pipeflow.config.source import Inspected, inspect_call
from pipeflow.spec.stage_type import CallFacts

STEPS = """\
def double(x: int) -> int:
    return 2 * x


def add(x: int, n: int) -> int:
    return x + n
"""

#: A file that doubles what it is given.
DOUBLE = """\
inputs: [xs]
outputs: {out: twice}
stages:
  twice: {call: 'steps:double', inputs: xs}
"""


def write(folder: Path, **files: str) -> None:
    """Write ``NAME.yaml`` for each; ``sub__NAME`` lies in the folder ``sub``."""
    for name, text in files.items():
        path = folder.joinpath(*f"{name}.yaml".split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        (path.parent / "steps.py").write_text(STEPS, encoding="utf-8")


def reading(folder: Path, name: str = "outer", **params: str) -> Reading:
    return read(str(folder / f"{name}.yaml"), Settings(params=params), {})


def told(folder: Path, name: str = "outer") -> list[str]:
    """``file:line:column code`` of every finding, in order, without the folder."""
    found = reading(folder, name).findings
    return [f"{each.at} {each.code}".replace(f"{folder}/", "") for each in found]


def facts(target: str, folder: str) -> CallFacts:
    """What is read of ``module:attribute``."""
    found = inspect_call(target, folder, ())
    assert isinstance(found, Inspected), found
    return found.facts
