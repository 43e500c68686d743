"""sqlite.write: rows of a table in an SQLite database."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.author import metric
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import json_text, plain
from pipeflow.stages.sinks.files import WRITTEN, EverySecond, Target, in_use
from pipeflow.stages.sinks.output import FILE
from pipeflow.stages.tables import COLUMNS, column_names, refuse_strangers

#: How long a database that others write as well is waited for.
_PATIENCE_S: Final = 30.0
#: What SQLite keeps beside a database.
_BESIDE: Final = ("-journal", "-wal", "-shm")
_HINT: Final = "; `live: true` lets several write tables of one database"
#: What it takes as it is, and the type of a column whose first value is of that class.
_TYPES: Final[Mapping[type, str]] = {
    int: "INTEGER",
    bool: "INTEGER",
    float: "REAL",
    str: "TEXT",
    bytes: "BLOB",
    type(None): "",
}


@operator(
    name="sqlite.write",
    role=Role.SINK,
    summary="Writes each item, a dict, as one row of a table in an SQLite database.",
    details=(
        "The keys of the first dict are the columns, unless `columns` says them; a later dict may "
        "lack some, but a key that is no column is an error of its item. Dicts and lists in a "
        "column are JSON; paths, dates and the like are text. The database is a new one, and "
        "replaces one that is there; to add to it, or to write several tables, say `live: true`. "
        "Rows are on the disk within a second."
    ),
    options=(
        FILE,
        Option(
            name="table",
            types=(OptionType.STRING,),
            default=REQUIRED,
            description="The table; it is made if it is not there.",
            examples=("people",),
        ),
        COLUMNS,
        Option(
            name="live",
            types=(OptionType.BOOLEAN,),
            default=False,
            description=(
                "Write to the database itself: its other tables, and rows that the table has, "
                "stay; so do new rows when the run fails."
            ),
        ),
    ),
    keeps_state=True,
    may_drop=True,
    single=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  rows:
    use: map
    inputs: numbers
    with:
      expr: '{"number": item, "square": item * item}'

  save:
    use: sqlite.write
    inputs: rows
    with:
      path: out/squares.db
      table: squares
""",
)
class WriteSqlite:
    """Inserts rows as they come, in transactions of a second. Owns its connection."""

    def __init__(self, path: Path, table: str, columns: list[Any] | None, live: bool) -> None:
        self._target = Target(path, live=live)
        if self._target.special:
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        self._table = table
        self._columns = column_names(columns)
        self._insert = ""
        self._rows = 0
        if not live:
            _make_way(self._target)
        # The thread that commits each second is another one; a lock lets one in at a time.
        self._database: sqlite3.Connection | None = sqlite3.connect(
            self._target.written,
            timeout=_PATIENCE_S,
            isolation_level=None,
            check_same_thread=False,
        )
        if not live:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
        self._committer = EverySecond(self._commit)

    def __call__(self, item: Any) -> None:
        if not isinstance(item, Mapping):
            raise TypeError(f"a row is a dict, not {type(item).__name__}")
        row = {str(key): _cell(value) for key, value in item.items()}
        columns = list(row) if self._columns is None else self._columns
        refuse_strangers(row, columns)
        assert self._database is not None
        with self._committer:
            if not self._database.in_transaction:
                self._database.execute("BEGIN IMMEDIATE")
            if not self._insert:
                self._make_table(self._database, columns, row)
            self._database.execute(self._insert, [row.get(column) for column in columns])
            self._rows += 1

    def finish(self) -> None:
        """Write what is not yet on the disk, and give the database its name."""
        self._committer.stop()
        self._committer.raise_late()
        assert self._database is not None
        if not self._insert and self._columns:
            self._make_table(self._database, self._columns, {})
        self._commit()
        self._database.close()
        self._database = None
        self._target.put_in_place()
        metric(WRITTEN).add(self._rows)

    def close(self) -> None:
        """Close the database; rows that came stay in it."""
        self._committer.stop()
        database, self._database = self._database, None
        if database is not None:
            try:
                if database.in_transaction:
                    database.execute("COMMIT")
            finally:
                database.close()

    def _commit(self) -> None:
        assert self._database is not None
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def _make_table(
        self, database: sqlite3.Connection, columns: list[str], row: Mapping[str, object]
    ) -> None:
        """The first row says what the columns are, unless the table is there."""
        named = [
            f"{_quoted(column)} {_TYPES[type(row.get(column))]}".rstrip() for column in columns
        ]
        table = _quoted(self._table)
        database.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(named)})")
        names, values = ", ".join(map(_quoted, columns)), ", ".join("?" * len(columns))
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({values})"  # noqa: S608 - all names are quoted
        self._columns = columns


def _make_way(target: Target) -> None:
    """Remove what an earlier run has left, unless another one is writing there.

    Raises:
        BlockingIOError: Somebody writes it, or has the database open that is to be replaced.
    """
    if any(os.path.lexists(f"{target.path}{suffix}") for suffix in _BESIDE):
        raise in_use(target.path, _HINT)
    partial = target.written
    if partial.is_file() and not partial.is_symlink():
        probe = sqlite3.connect(partial, timeout=0, isolation_level=None)
        try:
            probe.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise in_use(target.path, _HINT) from None
        finally:
            probe.close()
    for suffix in ("", *_BESIDE):
        Path(f"{partial}{suffix}").unlink(missing_ok=True)


def _cell(value: Any) -> object:
    """A value as SQLite takes it: numbers stay numbers, what has parts becomes JSON."""
    if type(value) in _TYPES:
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    simple = value if isinstance(value, dict | list | tuple) else plain(value)
    return simple if type(simple) in _TYPES else json_text(simple)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
