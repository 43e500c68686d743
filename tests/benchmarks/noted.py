"""Reads what the stages of a run wrote down: when the first item began, when the last one came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.model import WrongResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What source and sinks wrote.

    Attributes:
        first_ns: When the source began its first item.
        sinks: What each sink wrote; ``last_ns`` and ``items`` are always there.
    """

    first_ns: int
    sinks: Sequence[dict[str, Any]]

    @property
    def wall_s(self) -> float:
        """From the source's first item to the last item at the slowest sink."""
        return (max(int(sink["last_ns"]) for sink in self.sinks) - self.first_ns) / 1e9

    def require(self, **expected: float) -> None:
        """Check what every sink must have written; a sum of floats may be rounded.

        Raises:
            WrongResult: It wrote something else.
        """
        for sink in self.sinks:
            for name, value in expected.items():
                if abs(sink[name] - value) > 1e-6 * abs(value):
                    raise WrongResult(f"{name} is {sink[name]}, and should be {value}")


def read_halves(folder: Path) -> Noted:
    """Read the notes of two processes that did half of the work each.

    Raises:
        WrongResult: A stage wrote none.
    """
    halves = [read_notes(folder / f"half-{i}") for i in range(2)]
    return Noted(
        first_ns=min(half.first_ns for half in halves),
        sinks=[sink for half in halves for sink in half.sinks],
    )


def read_notes(folder: Path) -> Noted:
    """Read the notes of a run.

    Raises:
        WrongResult: A stage wrote none.
    """
    try:
        source = json.loads((folder / "source.json").read_text())
    except FileNotFoundError:
        raise WrongResult("the source did not write when it began") from None
    sinks = [json.loads(file.read_text()) for file in sorted(folder.glob("sink-*.json"))]
    if not sinks:
        raise WrongResult("no sink wrote what came")
    return Noted(first_ns=source["first_ns"], sinks=sinks)
