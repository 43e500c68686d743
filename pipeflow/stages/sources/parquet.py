"""parquet.read: the rows of a Parquet file, one by one or in Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.extras import needed
from pipeflow.stages.sources.opening import FILE, check_is_file
from pipeflow.stages.tables import column_names

#: Rows that are unpacked at a time when they are given one by one.
_AT_ONCE: Final = 4096
#: Bytes of a column that are read at a time.
_READ_BYTES: Final = 1 << 20


def _example() -> bytes:
    """Three rows of two columns, and a third that is not read."""
    import io

    arrow = needed("pyarrow", operator="parquet.read", extra="parquet")
    parquet = needed("pyarrow.parquet", operator="parquet.read", extra="parquet")
    file = io.BytesIO()
    columns = {"number": [1, 2, 3], "cube": [1, 8, 27], "square": [1, 4, 9]}
    parquet.write_table(arrow.table(columns), file)
    return file.getvalue()


@operator(
    name="parquet.read",
    role=Role.SOURCE,
    summary="The rows of a Parquet file, as dicts, or many at a time as Arrow tables.",
    details=(
        "With `batch` each item is a `pyarrow.Table`, whose columns travel in shared memory "
        "without a copy: that is many times as fast as row by row. Memory does not grow with the "
        "file. It needs pyarrow: `pip install 'pipeflow[parquet]'`."
    ),
    options=(
        FILE,
        Option(
            name="columns",
            types=(OptionType.LIST,),
            default=None,
            description="The columns to read, in this order; the others cost no time.",
            examples=(["name", "age"],),
        ),
        Option(
            name="batch",
            types=(OptionType.INTEGER,),
            default=None,
            description=(
                "Give tables of that many rows, the last one shorter; without it, rows as dicts."
            ),
            unit="rows",
            minimum=1,
            examples=(10_000,),
        ),
    ),
    single=True,
    example="""
stages:
  numbers:
    use: parquet.read
    with:
      path: squares.parquet
      columns: [number, square]

  large:
    use: filter
    inputs: numbers
    with:
      where: 'item["square"] > 3'

  show:
    use: print
    inputs: large
""",
    example_files={"squares.parquet": _example},
)
class ReadParquet:
    """Unpacks rows as they are asked for."""

    def __init__(self, path: Path, columns: list[Any] | None, batch: int | None) -> None:
        check_is_file(path)
        self._arrow = needed("pyarrow", operator="parquet.read", extra="parquet")
        parquet = needed("pyarrow.parquet", operator="parquet.read", extra="parquet")
        self._columns = column_names(columns)
        self._batch = batch
        try:
            # A group of rows can be as large as the file: it is read piece by piece.
            self._file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
        except self._arrow.ArrowInvalid as error:
            raise ValueError(f"{str(path)!r} is no Parquet file: {error}") from None
        known = self._file.schema_arrow.names
        for name in self._columns or ():
            if name not in known:
                self.close()
                raise ValueError(f"{path} has no column {name!r}; it has {', '.join(known)}")

    def __call__(self) -> Iterator[Any]:
        size = _AT_ONCE if self._batch is None else self._batch
        for piece in self._tables(size):
            if self._batch is None:
                yield from piece.to_pylist()
            else:
                yield piece

    def total(self) -> int:
        """How many items there will be."""
        rows: int = self._file.metadata.num_rows
        return rows if self._batch is None else -(-rows // self._batch)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _tables(self, size: int) -> Iterator[Any]:
        """Tables of exactly so many rows: the file's own pieces end with its groups of rows."""
        make = self._arrow.Table.from_batches
        held: list[Any] = []
        rows = 0
        for piece in self._file.iter_batches(batch_size=size, columns=self._columns):
            ordered = piece if self._columns is None else piece.select(self._columns)
            while ordered.num_rows:
                part = ordered.slice(0, size - rows)
                ordered = ordered.slice(part.num_rows)
                held.append(part)
                rows += part.num_rows
                if rows == size:
                    yield make(held)
                    held, rows = [], 0
        if held:
            yield make(held)
