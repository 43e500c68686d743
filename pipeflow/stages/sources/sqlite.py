"""sqlite.read: the rows that a query gives, from an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.sources.opening import FILE, check_is_file
from pipeflow.stages.work import BadRecord


def _example() -> bytes:
    """A database of two people."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            "CREATE TABLE people (name TEXT, age INTEGER);"
            "INSERT INTO people VALUES ('Tim', 7), ('Ada', 36);"
        )
        return database.serialize()


@operator(
    name="sqlite.read",
    role=Role.SOURCE,
    summary="The rows that a query gives, as dicts, from an SQLite database.",
    details=(
        "The database is opened for reading only. Rows come as they are found: memory does not "
        "grow with their number. A row with text that is no UTF-8 is a bad record; its item is "
        "the row, with bytes in the place of the text."
    ),
    options=(
        FILE,
        Option(
            name="query",
            types=(OptionType.STRING,),
            default=REQUIRED,
            description="The query, in SQL. Name the order that you want: `ORDER BY`.",
            examples=("SELECT * FROM people ORDER BY name",),
        ),
        Option(
            name="parameters",
            types=(OptionType.LIST, OptionType.MAPPING),
            default=None,
            description="Values for `?` in the query (a list) or for `:name` (a mapping).",
            examples=([18], {"age": 18}),
        ),
    ),
    single=True,
    example="""
stages:
  adults:
    use: sqlite.read
    with:
      path: people.db
      query: SELECT name, age FROM people WHERE age >= :age ORDER BY name
      parameters:
        age: 18

  show:
    use: print
    inputs: adults
""",
    example_files={"people.db": _example},
)
class ReadSqlite:
    """Runs the query when the first row is asked for."""

    def __init__(
        self, path: Path, query: str, parameters: list[Any] | dict[str, Any] | None
    ) -> None:
        check_is_file(path)
        self._query = query
        self._parameters = () if parameters is None else parameters
        self._undecoded = False
        location = f"file:{quote(str(path.absolute()))}?mode=ro"
        self._database = sqlite3.connect(location, uri=True)
        self._database.text_factory = self._decode
        self._name = str(path)

    def __call__(self) -> Iterator[Any]:
        with closing(self._database.cursor()) as cursor:
            try:
                cursor.execute(self._query, self._parameters)
            except sqlite3.Error as error:
                raise ValueError(f"{self._name}: {error}: {self._query}") from None
            if cursor.description is None:
                raise ValueError(f"the query gives no rows: {self._query}")
            names = [column[0] for column in cursor.description]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two columns are named {twice[0]!r}: name one with AS")
            for row in cursor:
                item = dict(zip(names, row, strict=True))
                if self._undecoded:
                    self._undecoded = False
                    yield BadRecord(item, ValueError(f"{self._name}: a text is no UTF-8"))
                else:
                    yield item

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _decode(self, data: bytes) -> str | bytes:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self._undecoded = True
            return data
