"""Numbers, durations, sizes and near words."""

from __future__ import annotations

import pytest

from pipeflow.config.problem import Problem
from pipeflow.config.scalars import resolve
from pipeflow.config.units import duration, duration_text, size, size_text
from pipeflow.suggest import did_you_mean, meant_names


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("2s", 2.0), ("5m", 300.0), ("1h30m", 5400.0), ("0", 0.0)]
)
def test_durations_are_read_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("64KiB", 65536), ("4GB", 4 * 10**9), ("1.5GiB", 3 * 2**29), ("7B", 7)]
)
def test_sizes_are_read_in_bytes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        (duration(10), "10s, 10ms, 10m"),
        (duration("5 min"), "5m"),
        (size("2gb"), "2GB (10^9) or 2GiB (2^30)"),
        (resolve("0755"), '0o755 or "0755"'),
        (resolve("089"), '89 or "089"'),
    ],
)
def test_what_cannot_be_read_says_what_to_write(read: object, hint: str) -> None:
    assert isinstance(read, Problem)
    assert read.hint == hint


@pytest.mark.parametrize("text", ["1e999", "9" * 20, "0x" + "f" * 17])
def test_numbers_beyond_bounds_are_refused(text: str) -> None:
    assert isinstance(resolve(text), Problem)


@pytest.mark.parametrize(
    ("word", "meant"), [("raeder", "reader"), ("HOEM", "home"), ("form", "from"), ("zzz", None)]
)
def test_the_nearest_word_is_suggested(word: str, meant: str | None) -> None:
    assert did_you_mean(word, ["writer", "reader", "home", "from"]) == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("csv.raed", ["csv.read"]),
        ("csv", ["csv.read", "csv.write"]),
        ("read_lines", ["lines"]),
        ("Lines.Read", ["lines"]),
        ("to_csv", ["csv.read", "csv.write"]),
        ("read", []),  # of too many
        ("scribble", []),
        ("", []),
    ],
)
def test_a_dotted_name_that_has_a_word_in_common_is_suggested_unless_many_have(
    name: str, meant: list[str]
) -> None:
    known = ["csv.read", "csv.write", "jsonl.read", "lines", "lines.write", "npy.read", "sql.read"]

    assert meant_names(name, known) == meant


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.05, "50ms"),
        (0.5, "0.5s"),
        (90.0, "90s"),
        (300.0, "5m"),
        (1 / 3, "0.3333333333333333s"),
        (1e-14, "0.00000000000001s"),
        (0.0, "0s"),
    ],
)
def test_a_duration_is_written_as_short_as_it_can_be_read_again(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2**26, "64MiB"),
        (2 * 10**9, "2GB"),
        (7 * 2**29, "3.5GiB"),
        (2**53 + 1, "9007199254740993B"),
        (0, "0B"),
    ],
)
def test_a_size_is_written_as_short_as_it_can_be_read_again(number: int, text: str) -> None:
    assert size_text(number) == text
    assert size(text) == number
