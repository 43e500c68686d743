"""Parquet and numpy files: what was written is read again, by rows and in pieces."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeflow.runtime.failures import traceback_of
from pipeflow.stages.sinks import files as files_module
from pipeflow.stages.work import Work
from tests.stages.working import feed, given, sink, source, until_true

ROWS = [{"n": n, "text": f"row {n}", "half": n / 2} for n in range(10)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "table")


def test_rows_come_back_from_parquet_as_they_were(path: str) -> None:
    feed(sink("parquet.write", path=path, row_group=4), ROWS)

    assert given("parquet.read", path=path) == ROWS
    assert pq.ParquetFile(path).num_row_groups == 3


def test_a_parquet_file_that_a_full_disk_cut_short_is_closed_without_a_second_failure(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files_module.FileOutput, "write_bytes", full)

    refused = feed(sink("parquet.write", path=path, row_group=10), ROWS, whole=False)

    assert refused == ["[Errno 28] No space left on device"]


def _write_all(work: Work, rows: list[Any]) -> None:
    """Give the rows as one item; ``close`` has nothing to add to what fails."""
    assert work.call is not None
    assert work.finish is not None
    assert work.close is not None
    try:
        work.call(rows)
        work.finish()
    except OSError:
        work.close()
        raise
    work.close()


@pytest.mark.parametrize("row_group", [3, 100])
def test_a_full_disk_is_told_in_one_line_without_the_frames_of_arrow(row_group: int) -> None:
    # A list is packed as it comes; the rest when the input ends.
    with pytest.raises(OSError, match="No space left on device: '/dev/full'") as caught:
        _write_all(sink("parquet.write", path="/dev/full", row_group=row_group), ROWS)

    assert '  File "pyarrow' not in (told := traceback_of(caught.value))
    assert "site-packages" not in told


def test_parquet_gives_columns_and_tables_of_any_size(path: str) -> None:
    feed(sink("parquet.write", path=path, row_group=3), ROWS)

    tables = given("parquet.read", path=path, columns=["half", "n"], batch=4)

    assert [table.num_rows for table in tables] == [4, 4, 2]
    assert all(isinstance(table, pa.Table) for table in tables)
    assert pa.concat_tables(tables).to_pylist() == [
        {"half": row["half"], "n": row["n"]} for row in ROWS
    ]


def test_parquet_says_what_is_wrong_with_its_file(tmp_path: Path, path: str) -> None:
    feed(sink("parquet.write", path=path), ROWS)
    (tmp_path / "text").write_text("no parquet at all")

    with pytest.raises(ValueError, match="has no column 'm'; it has n, text, half"):
        source("parquet.read", path=path, columns=["m"])
    with pytest.raises(ValueError, match="is no Parquet file"):
        source("parquet.read", path=str(tmp_path / "text"))
    with pytest.raises(FileNotFoundError):
        source("parquet.read", path=str(tmp_path / "nothing"))


def test_parquet_takes_rows_lists_tables_and_frames_alike(path: str) -> None:
    items: list[Any] = [
        {"n": 1},
        [{"n": 2}, {"n": 3}],
        pa.table({"n": [4]}),
        pa.record_batch({"n": [5]}),
        pd.DataFrame({"n": [6]}),
        {"n": 7},
    ]

    refused = feed(sink("parquet.write", path=path), items)

    assert refused == []
    assert given("parquet.read", path=path) == [{"n": n} for n in range(1, 8)]


def test_a_row_that_does_not_fit_a_parquet_file_fails_alone(path: str) -> None:
    items: list[Any] = [
        {"n": 1, "t": None},
        {"n": 2.5, "t": "a"},
        {"n": "x", "t": "b"},
        {"m": 1},
        [{"n": 3}, {"n": 4, "t": 5}],
        {"n": 2**70},
        7,
    ]

    refused = feed(sink("parquet.write", path=path), items)

    assert given("parquet.read", path=path) == [{"n": 1.0, "t": None}, {"n": 2.5, "t": "a"}]
    assert refused == [
        "column 'n' holds double, and this is 'x'",
        "'m' is none of the columns n, t",
        "column 't' holds string, and this is 5",
        f"column 'n': {2**70} is too large for 64 bits",
        "an item is a dict, a list of dicts, an Arrow table or a pandas frame, not int",
    ]


def test_types_are_settled_when_the_first_rows_are_packed(path: str) -> None:
    items: list[Any] = [{"n": 1}, {"n": 2}, {"n": 2.5}, pa.table({"n": [0.5]}), {"n": 3}]

    refused = feed(sink("parquet.write", path=path, row_group=2), items)

    assert given("parquet.read", path=path) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert refused[0] == "column 'n' holds int64, and this is 2.5"
    assert refused[1].startswith("the table does not fit those before it: ")


def test_values_that_arrow_does_not_know_are_written_as_json_would(path: str) -> None:
    row = {
        "path": Path("a/b"),
        "day": dt.date(2024, 2, 29),
        "grid": np.eye(2),
        "axis": np.arange(2),
        "small": np.float32(0.5),
        "nested": {"a": [1]},
    }

    assert feed(sink("parquet.write", path=path), [row]) == []
    assert given("parquet.read", path=path) == [
        {
            "path": "a/b",
            "day": dt.date(2024, 2, 29),
            "grid": [[1.0, 0.0], [0.0, 1.0]],
            "axis": [0, 1],
            "small": 0.5,
            "nested": {"a": [1]},
        }
    ]


def test_types_of_columns_can_be_said(path: str) -> None:
    types = {"n": "number", "at": "timestamp[us]"}
    items: list[Any] = [{"n": 1}, {"at": dt.datetime(2024, 1, 1)}, {"at": "soon"}]  # noqa: DTZ001 - the column has no zone

    refused = feed(sink("parquet.write", path=path, columns=["n", "at"], types=types), items)

    table = pq.read_table(path)
    assert table.schema.types == [pa.float64(), pa.timestamp("us")]
    assert table.num_rows == 2
    assert refused[0].startswith("column 'at': ")
    with pytest.raises(ValueError, match="n is one of integer, number, boolean, string, or a type"):
        sink("parquet.write", path=path, types={"n": "bigint"})


def test_a_parquet_file_of_nothing_can_be_read(path: str) -> None:
    feed(sink("parquet.write", path=path, columns=["n"], types={"n": "integer"}), [])
    named = pq.read_table(path).schema
    feed(sink("parquet.write", path=path), [])

    assert named == pa.schema([("n", pa.int64())])
    assert given("parquet.read", path=path) == []


def test_a_parquet_file_that_is_not_whole_can_be_read_all_the_same(path: str) -> None:
    feed(sink("parquet.write", path=path), ROWS[:3], whole=False)

    assert not Path(path).exists()
    assert given("parquet.read", path=f"{path}.partial") == ROWS[:3]


def test_without_pyarrow_the_error_says_what_to_install(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(path).touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    for load, operator in ((source, "parquet.read"), (sink, "parquet.write")):
        with pytest.raises(ModuleNotFoundError) as caught:
            load(operator, path=path)
        assert str(caught.value) == (f"{operator} needs pyarrow: pip install 'pipeflow[parquet]'")


@pytest.mark.parametrize(
    ("array", "rows"),
    [
        (np.arange(5), [0, 1, 2, 3, 4]),
        (np.array([True, False]), [True, False]),
        (np.arange(6).reshape(3, 2), [[0, 1], [2, 3], [4, 5]]),
        (np.asfortranarray(np.arange(6).reshape(3, 2)), [[0, 1], [2, 3], [4, 5]]),
        (np.zeros((0, 3)), []),
        (np.array(["2024-01-01"], "M8[D]"), [dt.date(2024, 1, 1)]),
    ],
)
def test_npy_gives_what_lies_along_the_first_axis(path: str, array: Any, rows: list[Any]) -> None:
    np.save(path, array)

    items = given("npy.read", path=f"{path}.npy")

    assert [item.tolist() if hasattr(item, "tolist") else item for item in items] == rows


def test_npy_gives_pieces_large_ones_in_shared_memory(path: str) -> None:
    array = np.arange(7 * 20_000, dtype="<f8").reshape(7, 20_000)
    np.save(path, array)

    pieces = given("npy.read", path=f"{path}.npy", batch=3)

    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert np.array_equal(np.concatenate(pieces), array)


def test_npy_refuses_objects_and_files_without_rows(path: str, tmp_path: Path) -> None:
    np.save(path, np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "scalar.npy", np.array(5))
    (tmp_path / "text").write_text("no array")

    with pytest.raises(ValueError, match="cannot be read: "):
        source("npy.read", path=f"{path}.npy")
    with pytest.raises(ValueError, match="has no rows"):
        source("npy.read", path=str(tmp_path / "scalar.npy"))
    with pytest.raises(ValueError, match="cannot be read: "):
        source("npy.read", path=str(tmp_path / "text"))


def test_numbers_and_arrays_make_a_numpy_file(path: str) -> None:
    feed(sink("npy.write", path=path), [1, 2, 3])
    numbers = np.load(path)
    feed(sink("npy.write", path=path), [np.eye(2), np.zeros((2, 2))])
    stacked = np.load(path)
    feed(sink("npy.write", path=path, join="concatenate"), [np.eye(2), np.zeros((1, 2))])

    assert (numbers.tolist(), numbers.dtype) == ([1, 2, 3], np.int64)
    assert stacked.shape == (2, 2, 2)
    assert np.load(path).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_an_item_that_does_not_fit_a_numpy_file_fails_alone(path: str) -> None:
    items: list[Any] = [[1, 2], [1, 2, 3], [0.5, 1], [{}, {}], [3, 4]]

    refused = feed(sink("npy.write", path=path), items)

    assert np.load(path).tolist() == [[1, 2], [3, 4]]
    assert refused == [
        "a row has the shape (3,), and those before (2,)",
        "it holds float64, and the file int64",
        "an item is an array or a number, not list",
    ]


def test_a_numpy_file_has_the_type_that_was_said(path: str) -> None:
    refused = feed(sink("npy.write", path=path, dtype="float32"), [1.5, 2, "x"])

    assert np.load(path).dtype == np.float32
    assert refused == ["it holds <U1, and the file float32"]


def test_a_numpy_file_of_nothing_can_be_read(path: str) -> None:
    feed(sink("npy.write", path=path), [])

    assert np.load(path).shape == (0,)


def test_a_numpy_file_can_be_read_while_it_is_written(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "FLUSH_S", 0.01)
    work = sink("npy.write", path=path, live=True)
    assert work.call is not None
    work.call(1.5)

    until_true(lambda: np.load(path).tolist() == [1.5])
    feed(work, [2.5], whole=False)

    assert np.load(path).tolist() == [1.5, 2.5]
