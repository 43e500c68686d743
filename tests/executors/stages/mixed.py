"""A function that gives one result most often, not always; it notes how that breaks rows up."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.loops import calls
from pipeflow.runtime.loops.rows import Halt, call_into

#: An object that stays in the function's hands: what is sent of it is what it was then.
HELD: dict[str, Any] = {"n": 0}


def like(number: int, kind: int) -> Any:
    """An item that stands for a number: as plain as can be, or anything but."""
    match kind:
        case 0:
            return {"n": number, "text": "x" * (number % 5)}
        case 1:
            return number
        case 2:
            return np.full(5_000, number)
        case 3:
            return {"n": number, "data": [np.full(10, number)]}
        case _:
            HELD["n"] = number
            return HELD


def number_of(item: Any) -> int:
    """The number that an item stands for; an array must be whole."""
    if isinstance(item, np.ndarray):
        assert (item == item[0]).all(), "another array's bytes"
        return int(item[0])
    return int(item["n"]) if isinstance(item, dict) else int(item)


def numbers(stop: int) -> Iterator[Any]:
    for number in range(stop):
        yield like(number, 0)


@dataclass
class Mixed:
    """See the module.

    Args:
        rare: One of so many items gives something else than one plain result.
        fails: Some of these fail.
        many: Some of these are any number of results; a zip by id would refuse them.
        folder: Where it notes, at its end, how often a row of more than one call that ends their
            units was whole, had a ``None`` in it, or was broken up by what is more. Only in a
            process of its own; "": nowhere.
    """

    rare: int
    fails: bool = False
    many: bool = True
    folder: str = ""

    def __post_init__(self) -> None:
        self.rows: Counter[str] = Counter()
        if self.folder:
            mock.patch.object(calls, "call_into", self.watched).start()

    def __call__(self, item: Any) -> Any:
        number = number_of(item)
        turn, place = divmod(number, self.rare)
        if place:
            return like(number, 0)
        match turn % 7:
            case 0:
                return None
            case 1 if self.many:
                return (like(number, step) for step in range(turn % 5))
            case 2 if self.fails:
                raise ValueError(f"no {number}")
            case kind:
                return like(number, kind - 2)  # whole numbers, arrays, what it still holds

    def watched(self, call: Any, several: Calls, span: tuple[int, int], **settings: Any) -> Halt:
        """Call as ever, and note how far the row got."""
        halt = call_into(call, several, span, **settings)
        if several.end_units and span[1] - span[0] > 1:
            self.rows[_end_of(halt, span[1])] += 1
        return halt

    def close(self) -> None:
        if self.folder:
            file = Path(self.folder) / f"{os.getpid()}.rows.json"
            file.write_text(json.dumps(self.rows))


def _end_of(halt: Halt, stop: int) -> str:
    if halt.at == stop:
        return "none" if halt.empty else "whole"
    return "more"


def pair(left: Any, right: Any) -> list[int]:
    return [number_of(left), number_of(right)]


def number(item: Any) -> int:
    return number_of(item)


def same(item: Any) -> Any:
    return item
