"""csv.write: items as rows of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import field_text
from pipeflow.stages.sinks.output import COMPRESSION, LIVE, PATH, open_output
from pipeflow.stages.tables import COLUMNS, DELIMITER, HEADER, column_names, refuse_strangers

#: What ``csv`` itself writes as ``field_text`` would.
_AS_THEY_ARE: Final = frozenset({str, int, float, type(None)})


@operator(
    name="csv.write",
    role=Role.SINK,
    summary="Writes each item, a dict or a list, as one row of a CSV file.",
    details=(
        "The keys of the first dict are the columns, unless `columns` says them; a later dict may "
        "lack some, but a key that is no column is an error of its item. Null is an empty field; "
        "lists and dicts in a field are JSON."
    ),
    options=(
        PATH,
        COLUMNS,
        HEADER,
        DELIMITER,
        LIVE,
        COMPRESSION,
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
    use: csv.write
    inputs: rows
    with:
      path: out/squares.csv
""",
)
class WriteCsv:
    """Writes as the items come; the file gets its name at the end."""

    def __init__(
        self,
        path: Path,
        columns: list[Any] | None,
        header: bool,
        delimiter: str,
        live: bool,
        compression: str,
    ) -> None:
        self._columns = column_names(columns)
        self._header_due = header
        # writerow returns what its file's write returns: the finished line.
        self._writer = csv.writer(_Line(), delimiter=delimiter, lineterminator="\n")
        self._output = open_output(path, live=live, compression=compression)

    def __call__(self, item: Any) -> None:
        values = self._values(item)
        self._write_header()
        self._output.write(self._line(values))

    def finish(self) -> None:
        """Give the file its name; without any row it still has its header, if that is known."""
        self._write_header()
        self._output.commit()

    def close(self) -> None:
        """Close the file."""
        self._output.close()

    def _values(self, item: Any) -> list[Any]:
        if type(item) is dict and list(item) == self._columns:
            values = list(item.values())
            if _AS_THEY_ARE.issuperset(map(type, values)):
                return values  # the most usual row, in a third of the time
        if isinstance(item, Mapping):
            return self._values_of_mapping(item)
        if isinstance(item, list | tuple) or hasattr(item, "tolist"):
            values = [field_text(value) for value in item]
            if self._columns is not None and len(values) != len(self._columns):
                raise ValueError(f"{len(values)} values, but {len(self._columns)} columns")
            return values
        raise TypeError(f"a row is a dict or a list, not {type(item).__name__}")

    def _values_of_mapping(self, item: Mapping[Any, Any]) -> list[str]:
        row = {str(key): value for key, value in item.items()}
        columns = list(row) if self._columns is None else self._columns
        refuse_strangers(row, columns)
        values = [field_text(row.get(column)) for column in columns]
        # Only now: an item that cannot be written decides nothing for those after it.
        self._columns = columns
        return values

    def _write_header(self) -> None:
        if self._header_due and self._columns is not None:
            self._output.write(self._line(self._columns), records=0)
        self._header_due = False

    def _line(self, values: list[Any]) -> str:
        line: str = self._writer.writerow(values)
        return line


class _Line:
    """Stands for the file of a ``csv.writer`` and hands the line back."""

    def write(self, text: str) -> str:
        return text
