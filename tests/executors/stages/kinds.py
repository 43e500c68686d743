"""Items of each kind that travels in its own way: plain, changeable, long, with buffers."""

from __future__ import annotations

from typing import Any

import numpy as np


def of(number: int) -> Any:
    match number % 6:
        case 0:
            return number
        case 1:
            return {"n": number, "tags": [number]}
        case 2:
            return np.full(3, number)
        case 3:
            return np.full(20_000, number)
        case 4:
            return "x" * 40_000 + str(number)
        case _:
            return None


def told(item: Any) -> str:
    match item:
        case dict():
            return f"dict {item['n']}"
        case str():
            return f"text {item[40_000:]}"
        case np.ndarray():
            return f"array {item.size} {item[0]}"
        case _:
            return f"number {item}"
