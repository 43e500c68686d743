"""Keys hash alike where they are equal, in every process."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.stages.keys import key_hash


class Plain(Enum):
    ONE = 1


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class User:
    name: str
    age: int


@dataclass
class Loose:
    name: str


PLUS_TWO = dt.timezone(dt.timedelta(hours=2))
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
EQUAL: list[tuple[Any, ...]] = [
    (
        1,
        1.0,
        True,
        Decimal(1),
        Fraction(1),
        1 + 0j,
        np.int64(1),
        np.float32(1),
        np.True_,
        Number.ONE,
    ),
    (0.0, -0.0, 0, False, Decimal("-0")),
    (0.5, Fraction(1, 2), Decimal("0.5"), np.float64(0.5)),
    ("a", np.str_("a"), Word.A),
    (b"a", np.bytes_(b"a")),
    ((1, "a"), (1.0, "a"), (True, np.str_("a"))),
    (Point(1, 2), (1, 2)),
    (frozenset({1, "a", None}), frozenset({None, "a", True})),
    (NOON, NOON.astimezone(PLUS_TWO)),
    (dt.datetime(2024, 5, 1), np.datetime64("2024-05-01", "ns"), np.datetime64("2024-05-01", "D")),  # noqa: DTZ001 - naive on purpose
    (dt.date(2024, 5, 1), np.datetime64("2024-05-01", "D")),
    (dt.timedelta(seconds=90), dt.timedelta(minutes=1.5), np.timedelta64(90, "s")),
    (dt.time(12, tzinfo=dt.UTC), dt.time(14, tzinfo=PLUS_TWO)),
    (User("ada", 36), User("ada", 36)),
    (Path("a/b"), PurePosixPath("a/b"), Path("a//b")),
    (float("nan"), np.float64("nan"), Decimal("nan")),
    (UUID(int=5), UUID(int=5)),
    (None, None),
    (Plain.ONE, Plain.ONE),
]


@pytest.mark.parametrize("keys", EQUAL)
def test_equal_keys_hash_alike(keys: tuple[Any, ...]) -> None:
    hashes = {key_hash(key) for key in keys}

    assert len(hashes) == 1


def test_different_keys_hash_apart() -> None:
    keys = [group[0] for group in EQUAL if group[0] != dt.date(2024, 5, 1)]
    more: list[Any] = ["1", b"1", (1,), ((1,),), (), frozenset(), "", ("a", "b"), ("ab",), 2**70]

    hashes = {key_hash(key) for key in [*keys, *more]}

    assert len(hashes) == len(keys) + len(more)


def test_hashes_are_well_mixed() -> None:
    counts = [0] * 7
    for number in range(7000):
        counts[key_hash(number) % 7] += 1

    assert min(counts) > 850
    assert max(counts) < 1150


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.booleans())))
def test_equal_tuples_hash_alike_whatever_they_hold(parts: list[Any]) -> None:
    as_floats = [
        float(part) if isinstance(part, int) and abs(part) < 2**53 else part for part in parts
    ]

    assert key_hash(tuple(parts)) == key_hash(tuple(as_floats))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([1], "unhashable key of type list: use a tuple instead"),
        ({"a": 1}, "unhashable key of type dict: use a tuple instead"),
        ({1}, "unhashable key of type set: use a frozenset instead"),
        (np.array([1]), "unhashable key of type ndarray: use a tuple instead"),
        (([1],), "unhashable key of type list: use a tuple instead"),
        (Loose("a"), "unhashable key: declare Loose with @dataclass(frozen=True)"),
        (
            object(),
            "a value of type object cannot be a key: use text, bytes, a number, a bool, None",
        ),
        (len, "a value of type builtin_function_or_method cannot be a key: use text"),
    ],
)
def test_what_cannot_be_a_key_is_a_type_error(key: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        key_hash(key)

    assert str(caught.value).startswith(message)


PROGRAM = """
import datetime as dt, pathlib, uuid, enum
from pipeflow.stages.keys import key_hash
keys = ["a", b"a", 1, 1.5, None, True, ("a", 1), frozenset({"a", "b", "c"}), dt.date(2024, 5, 1),
        dt.timedelta(1), pathlib.Path("a"), uuid.UUID(int=1), 2**100, "\\ud800"]
print([key_hash(key) for key in keys])
"""


@pytest.mark.processes
def test_hashes_are_the_same_in_every_process_and_run() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2", "random")
    }

    assert len(told) == 1
