"""SQLite: rows that a query gives, and rows that a table gets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.stages.sinks import files as files_module
from tests.stages.working import bad, feed, given, sink, source, until_true


def rows(path: Path, query: str = "SELECT * FROM t") -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.execute(query))


@pytest.fixture
def people(tmp_path: Path) -> str:
    path = tmp_path / "people?.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE people (name TEXT, age INTEGER)")
        database.executemany("INSERT INTO people VALUES (?, ?)", [("Tim", 7), ("Ada", 36)])
        database.execute("INSERT INTO people VALUES (CAST(x'ff' AS TEXT), 1)")
    return str(path)


def test_a_query_gives_dicts_and_takes_parameters(people: str) -> None:
    query = "SELECT name FROM people WHERE age > "

    assert given("sqlite.read", path=people, query=f"{query} ?", parameters=[10]) == [
        {"name": "Ada"}
    ]
    assert given("sqlite.read", path=people, query=f"{query} :a", parameters={"a": 5}) == [
        {"name": "Tim"},
        {"name": "Ada"},
    ]


def test_a_text_that_is_no_text_is_a_bad_record_and_the_rest_comes(people: str) -> None:
    items = given("sqlite.read", path=people, query="SELECT * FROM people ORDER BY age")

    assert bad(items) == [({"name": b"\xff", "age": 1}, f"{people}: a text is no UTF-8")]
    assert items[1:] == [{"name": "Tim", "age": 7}, {"name": "Ada", "age": 36}]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT * FROM nobody", "no such table: nobody"),
        ("SELEC", "syntax error"),
        ("SELECT age, age FROM people", "two columns are named 'age': name one with AS"),
        ("DELETE FROM people", "attempt to write a readonly database"),
        ("SELECT ?", "Incorrect number of bindings"),
    ],
)
def test_a_query_that_cannot_be_is_told(people: str, query: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        given("sqlite.read", path=people, query=query)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source("sqlite.read", path=str(tmp_path / "none.db"), query="SELECT 1")

    assert list(tmp_path.iterdir()) == []


def test_rows_are_in_a_new_database_when_all_are_in_it(tmp_path: Path) -> None:
    path = tmp_path / "out/a.db"
    items: list[Any] = [
        {"n": 1, 'odd "name"': "x", "parts": {"a": [1]}, "at": Path("p"), "x": np.float32(0.5)},
        {"n": True, "parts": None},
    ]

    refused = feed(sink("sqlite.write", path=str(path), table="t"), items)

    assert refused == []
    assert rows(path) == [(1, "x", '{"a": [1]}', "p", 0.5), (1, None, None, None, None)]
    assert [each.name for each in path.parent.iterdir()] == ["a.db"]


def test_a_row_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    refused = feed(
        sink("sqlite.write", path=str(path), table="t"),
        [{"n": 1}, {"m": 1}, [1], {"n": {1, "a"}}, {"n": object()}],
    )

    assert rows(path) == [(1,), ('[1, "a"]',)]
    assert refused[:2] == ["'m' is none of the columns n", "a row is a dict, not list"]
    assert "cannot be written as JSON" in refused[2]


def test_a_number_that_is_too_large_fails_alone(tmp_path: Path) -> None:
    work = sink("sqlite.write", path=str(tmp_path / "a.db"), table="t")
    assert work.call is not None

    with pytest.raises(OverflowError):
        work.call({"n": 2**70})
    feed(work, [{"n": 1}])

    assert rows(tmp_path / "a.db") == [(1,)]


def test_a_failed_run_leaves_the_old_database_and_its_own_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    feed(sink("sqlite.write", path=str(path), table="t"), [{"n": 1}])

    feed(sink("sqlite.write", path=str(path), table="t"), [{"n": 2}], whole=False)
    partial = rows(tmp_path / "a.db.partial")
    feed(sink("sqlite.write", path=str(path), table="t"), [{"n": 3}])

    assert partial == [(2,)]
    assert rows(path) == [(3,)]
    assert not (tmp_path / "a.db.partial").exists()


def test_live_rows_are_added_to_a_database_that_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "FLUSH_S", 0.01)
    path = tmp_path / "a.db"
    feed(sink("sqlite.write", path=str(path), table="t"), [{"n": 1}])
    work = sink("sqlite.write", path=str(path), table="t", live=True)
    other = sink("sqlite.write", path=str(path), table="u", live=True)
    assert work.call is not None

    work.call({"n": 2})
    until_true(lambda: rows(path) == [(1,), (2,)])
    feed(other, [{"m": 3}])
    feed(work, [{"n": 4}], whole=False)

    assert rows(path) == [(1,), (2,), (4,)]
    assert rows(path, "SELECT * FROM u") == [(3,)]


def test_a_database_that_another_stage_is_writing_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    first = sink("sqlite.write", path=path, table="t")

    with pytest.raises(BlockingIOError, match="another stage or run is writing this file"):
        sink("sqlite.write", path=path, table="u")
    feed(first, [{"n": 1}])

    assert rows(Path(path)) == [(1,)]


def test_what_is_no_database_in_the_way_of_a_partial_one_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a.db.partial").write_text("no database")
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "b.db.partial").symlink_to(tmp_path / "elsewhere")

    feed(sink("sqlite.write", path=str(tmp_path / "a.db"), table="t"), [{"n": 1}])
    feed(sink("sqlite.write", path=str(tmp_path / "b.db"), table="t"), [{"n": 2}])

    assert rows(tmp_path / "a.db") == [(1,)]
    assert (tmp_path / "elsewhere").read_text() == "mine"
