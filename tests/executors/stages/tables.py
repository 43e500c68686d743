"""Stages whose items are pandas frames, Arrow tables, and containers that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


@dataclass
class Shot:
    name: str
    image: Any
    boxes: list[Any]


def frames(count: int, rows: int) -> Iterator[Any]:
    for n in range(count):
        size = rows * (n + 1)
        yield pd.DataFrame(
            {
                "x": np.arange(size) + 0.5 * n,
                "k": np.arange(size) % 7,
                "name": [f"row {i}" for i in range(size)],
                "day": pd.date_range("2024-01-01", periods=size, freq="min"),
                "kind": pd.Categorical(["a", "b"] * (size // 2)),
            }
        )


def tables(count: int, rows: int) -> Iterator[Any]:
    for n in range(count):
        size = rows * (n + 1)
        texts = pa.array([None if i % 5 == 0 else f"text {i}" for i in range(size)])
        yield pa.table({"x": np.arange(size) + 0.5 * n, "text": texts})


def shots(count: int, rows: int) -> Iterator[Any]:
    for n in range(count):
        image = np.full((rows, 4 * (n + 1)), n, np.int32)
        nested = {"deep": [(image[::2], {"table": pa.table({"n": image[:, 0]})})]}
        yield Shot(f"shot {n}", image, [image[1], nested, "text"])


def forward(item: Any) -> Any:
    return item


def wrapped(item: Any) -> Any:
    return {"item": item, "again": (item,)}


def write_into(frame: Any) -> list[float]:
    """Change the frame that came, as one does with one's own."""
    frame.loc[0, "x"] = -1.0
    frame["y"] = frame["x"] * 2
    return [float(frame["x"].iloc[0]), float(frame["y"].sum())]


def told(item: Any) -> Any:
    """What is in an item, as JSON can hold it."""
    match item:
        case {"item": inner, "again": (same,)}:
            return [told(inner), told(inner) == told(same)]
        case Shot(name, image, boxes):
            return [name, told(image), told(boxes)]
        case np.ndarray():
            return [str(item.dtype), list(item.shape), float(item.sum()), item.flags.writeable]
        case pd.DataFrame():
            sums = [float(item["x"].sum()), int(item["k"].sum())]
            kinds = [str(kind) for kind in item.dtypes]
            ends = [str(item[name].iloc[-1]) for name in item.columns]
            return [kinds, sums, ends, len(item)]
        case pa.Table():
            texts = {"text": item["text"].to_pylist()[-3:]} if "text" in item.column_names else {}
            return [str(item.schema), item.num_rows, texts, item.equals(item.combine_chunks())]
        case dict():
            return {key: told(value) for key, value in item.items()}
        case list() | tuple():
            return [told(each) for each in item]
        case _:
            return item
