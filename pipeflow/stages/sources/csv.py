"""csv.read: the rows of a CSV file, as dicts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator, refused
from pipeflow.stages.sources.opening import COMPRESSION, ENCODING, PATH, Input
from pipeflow.stages.tables import DELIMITER, HEADER, column_names
from pipeflow.stages.work import BadRecord

#: Longest field, in characters. The csv module's own 131,072 is less than some documents have; a
#: bound there must be, since a quote that is never closed swallows the rest of the file.
FIELD_LIMIT: Final = 16 * 2**20

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
#: What ``surrogateescape`` puts in place of bytes that cannot be decoded.
_UNDECODED: Final = re.compile("[\udc80-\udcff]")


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


_TYPES: Final[Mapping[str, Callable[[str], Any]]] = {
    "integer": int,
    "number": float,
    "boolean": _boolean,
    "string": str,
}


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """Each type is one that there is."""
    types = given.get("types")
    known = types.items() if isinstance(types, Mapping) else ()
    return [
        each
        for column, kind in known
        for each in refused("types", partial(_parser, str(column), kind), "price: number")
    ]


@operator(
    name="csv.read",
    role=Role.SOURCE,
    summary="The rows of a CSV file, as dicts from column to text.",
    details=(
        "Empty lines are skipped. A row with another number of fields, with bad quotes, with bytes "
        "that cannot be decoded or a value that is not of its type is a bad record; its item is "
        "the text of the row."
    ),
    options=(
        PATH,
        DELIMITER,
        HEADER,
        Option(
            name="columns",
            types=(OptionType.LIST,),
            default=None,
            description=(
                "With a header: the columns to keep. Without one: the names of the columns; "
                'when left out they are `"1"`, `"2"` and so on.'
            ),
            examples=(["name", "age"],),
        ),
        Option(
            name="types",
            types=(OptionType.MAPPING,),
            default=None,
            description=(
                "Column to `integer`, `number`, `boolean` (`true`, `false`, `1`, `0`) or `string`, "
                "the default. Empty fields of the first three become null."
            ),
            examples=({"age": "integer"},),
        ),
        COMPRESSION,
        ENCODING,
    ),
    single=True,
    uses_stdin=True,
    judge=_judge,
    example="""
stages:
  read:
    use: csv.read
    with:
      path: people.csv
      types:
        age: integer

  adults:
    use: filter
    inputs: read
    with:
      where: 'item["age"] >= 18'

  show:
    use: print
    inputs: adults
    with:
      format: table
""",
    example_files={"people.csv": "name,age\nAda,36\nTim,7\n"},
)
class ReadCsv:
    """Reads rows as they are asked for."""

    def __init__(
        self,
        path: Path,
        delimiter: str,
        header: bool,
        columns: list[Any] | None,
        types: dict[str, Any] | None,
        compression: str,
        encoding: str,
    ) -> None:
        self._input = Input(path, compression)
        self._delimiter = delimiter
        self._header = header
        self._columns = column_names(columns)
        self._types = {column: _parser(column, kind) for column, kind in (types or {}).items()}
        self._encoding = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding

    def __call__(self) -> Iterator[dict[str, Any] | BadRecord]:
        # The limit is the process's own: it is raised, never lowered.
        csv.field_size_limit(max(FIELD_LIMIT, csv.field_size_limit()))
        text = self._input.open_text(self._encoding, errors="surrogateescape", newline="")
        return self._rows(_Records(text, self._delimiter))

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    def _rows(self, records: _Records) -> Iterator[dict[str, Any] | BadRecord]:
        names = self._names_of_header(records) if self._header else self._columns
        plain = not self._types and (not self._header or self._columns is None)
        for fields in records:
            try:
                if not records.sound:
                    records.check()
                if names is None:
                    names = [str(number) for number in range(1, len(fields) + 1)]
                if plain and len(fields) == len(names):
                    yield dict(zip(names, fields, strict=True))
                else:
                    yield self._row(names, fields)
            except ValueError as error:
                place = f"{self._input.name}, line {records.line}"
                item = _as_found(records.text, self._encoding)
                yield BadRecord(item, ValueError(f"{place}: {error}"))

    def _names_of_header(self, records: _Records) -> list[str]:
        """The first row; what is wrong with it is wrong with the file, and ends the run."""
        names = next(iter(records), None)
        if names is None:
            return []
        records.check()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self._input.name}: two columns are named {twice[0]!r}")
        for name in (*(self._columns or ()), *self._types):
            if name not in names:
                raise ValueError(
                    f"{self._input.name} has no column {name!r}; it has {', '.join(names)}"
                )
        return names

    def _row(self, names: list[str], fields: list[str]) -> dict[str, Any]:
        if len(fields) != len(names):
            raise ValueError(f"{len(fields)} fields, but there are {len(names)} columns")
        row: dict[str, Any] = dict(zip(names, fields, strict=True))
        for column, parse in self._types.items():
            text = row.get(column, "").strip()
            try:
                row[column] = parse(text) if text else None
            except ValueError as error:
                raise ValueError(f"column {column!r}: {error}") from None
        if self._header and self._columns is not None:
            return {column: row[column] for column in self._columns}
        return row


class _Records:
    """The rows of a text, and the text that the last one was made from; empty lines are skipped.

    Attributes:
        sound: The last row is one line of plain ASCII, with no error in it.
    """

    def __init__(self, lines: io.TextIOWrapper, delimiter: str) -> None:
        self._lines = lines
        self._taken: list[str] = []
        self._error: csv.Error | None = None
        # Strict: sloppy quotes are an error of the row, never silently another text.
        self._reader = csv.reader(self._remembered(), delimiter=delimiter, strict=True)
        self.sound = False

    def __iter__(self) -> Iterator[list[str]]:
        """The fields of each row; none of one that cannot be split, see ``check``."""
        taken = self._taken
        while True:
            self._error = None
            taken.clear()
            try:
                for fields in self._reader:
                    if fields:
                        self.sound = len(taken) == 1 and taken[0].isascii()
                        yield fields
                    taken.clear()
            except csv.Error as error:
                self._error, self.sound = error, False
                yield []
            else:
                return

    @property
    def text(self) -> str:
        """The line of the last row, or its lines when a field spans several."""
        return "".join(self._taken).rstrip("\r\n")

    @property
    def line(self) -> int:
        """Number of the last line of the last row, from 1."""
        return self._reader.line_num

    def check(self) -> None:
        """See that the last row could be read.

        Raises:
            ValueError: It could not.
        """
        if self._error is not None:
            raise ValueError(str(self._error))
        text = self.text
        if not text.isascii() and (bad := _UNDECODED.search(text)):
            raise ValueError(f"byte 0x{ord(bad[0]) - 0xDC00:02x} cannot be decoded")

    def _remembered(self) -> Iterator[str]:
        for line in self._lines:
            self._taken.append(line)
            yield line


def _parser(column: str, kind: object) -> Callable[[str], Any]:
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError(f"parameter 'types': {column} is one of {', '.join(_TYPES)}, not {kind!r}")
    return _TYPES[kind]


def _as_found(text: str, encoding: str) -> str | bytes:
    """The text, or its bytes when some cannot be decoded."""
    if _UNDECODED.search(text):
        return text.encode(encoding.removesuffix("-sig"), "surrogateescape")
    return text
