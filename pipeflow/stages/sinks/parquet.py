"""parquet.write: rows, lists of rows or Arrow tables as a Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.extras import needed
from pipeflow.stages.sinks.columns import Columns, types_of
from pipeflow.stages.sinks.files import FileOutput
from pipeflow.stages.sinks.output import FILE
from pipeflow.stages.tables import COLUMNS, column_names, refuse_strangers

#: Rows as dicts that are packed at a time, and bytes of text after which it is time too.
_ROWS_AT_ONCE: Final = 4096
_BYTES_AT_ONCE: Final = 16 * 2**20


@operator(
    name="parquet.write",
    role=Role.SINK,
    summary="Writes rows, lists of rows, or Arrow tables as a Parquet file.",
    details=(
        "An item is a dict, a list of dicts, a `pyarrow.Table` or `RecordBatch`, or a pandas "
        "frame. The first one names the columns, unless `columns` says them; their types are "
        f"found out from the first {_ROWS_AT_ONCE:,} rows, or said by `types`. A row may lack "
        "columns, but a key that is no column, or a value of another type, is an error of its "
        "item. A Parquet file can be read only when it is whole, so it cannot be `live`. It needs "
        "pyarrow: `pip install 'pipeflow[parquet]'`."
    ),
    options=(
        FILE,
        COLUMNS,
        Option(
            name="types",
            types=(OptionType.MAPPING,),
            default=None,
            description=(
                "Column to `integer`, `number`, `boolean`, `string`, or a type of Arrow such as "
                "`timestamp[us]`, for columns that the first rows do not tell."
            ),
            examples=({"age": "integer"},),
        ),
        Option(
            name="compression",
            types=(OptionType.STRING,),
            default="snappy",
            description="How to compress the columns.",
            choices=("snappy", "zstd", "gzip", "lz4", "none"),
            choice_docs=("fast", "small", "for old readers", "fastest", "as they are"),
        ),
        Option(
            name="row_group",
            types=(OptionType.INTEGER,),
            default=131_072,
            description=(
                "Rows that are packed together, and held in memory until then. Larger tables are "
                "split."
            ),
            unit="rows",
            minimum=1,
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
    use: parquet.write
    inputs: rows
    with:
      path: out/squares.parquet
""",
)
class WriteParquet:
    """Packs rows as they come; the file can be read when it has its end."""

    def __init__(
        self,
        path: Path,
        columns: list[Any] | None,
        types: dict[str, Any] | None,
        compression: str,
        row_group: int,
    ) -> None:
        self._arrow = needed("pyarrow", operator="parquet.write", extra="parquet")
        self._parquet = needed("pyarrow.parquet", operator="parquet.write", extra="parquet")
        known = types_of(self._arrow, types or {})
        self._columns = Columns(self._arrow, column_names(columns), known)
        self._compression = compression
        self._row_group = row_group
        self._rows: list[dict[str, Any]] = []
        self._text = 0  # bytes in the rows, roughly
        self._tables: list[Any] = []
        self._held = 0  # rows in the tables
        self._schema: Any = None
        self._writer: Any = None
        self._torn = False  # a write has failed: no end would make the file whole
        self._output = FileOutput(path)

    def __call__(self, item: Any) -> None:
        if isinstance(item, dict):
            self._add_rows([item])
        elif isinstance(item, list | tuple):
            self._add_rows(item)
        else:
            self._add_table(item)

    def finish(self) -> None:
        """Write what is held, and the end of the file, and give it its name."""
        self._end()
        self._output.commit()

    def close(self) -> None:
        """Close the file; with its end, so that it can be read, though it is not whole."""
        try:
            if not self._torn:
                self._end()
        finally:
            self._output.close()

    def _add_rows(self, rows: list[Any] | tuple[Any, ...]) -> None:
        fitting = self._columns.fit(rows)
        self._rows += fitting
        self._text += sum(
            len(value) for row in fitting for value in row.values() if type(value) in {str, bytes}
        )
        if len(self._rows) >= min(_ROWS_AT_ONCE, self._row_group) or self._text >= _BYTES_AT_ONCE:
            self._pack()

    def _add_table(self, item: Any) -> None:
        table = self._as_table(item)
        if self._schema is None and not self._rows:
            self._columns.take_over(table.schema)
        names = self._columns.names or []
        refuse_strangers(table.column_names, names)
        self._pack()
        schema = self._settled()
        columns = [
            table[field.name]
            if field.name in table.column_names
            else self._arrow.nulls(table.num_rows, field.type)
            for field in schema
        ]
        try:
            self._hold(self._arrow.table(columns, names=names).cast(schema))
        except self._arrow.ArrowException as error:
            raise ValueError(f"the table does not fit those before it: {error}") from None

    def _as_table(self, item: Any) -> Any:
        match item:
            case self._arrow.Table():
                return item
            case self._arrow.RecordBatch():
                return self._arrow.Table.from_batches([item])
            case _ if type(item).__name__ == "DataFrame":
                return self._arrow.Table.from_pandas(item, preserve_index=False)
            case _:
                raise TypeError(
                    "an item is a dict, a list of dicts, an Arrow table or a pandas frame, not "
                    f"{type(item).__name__}"
                )

    def _settled(self) -> Any:
        if self._schema is None:
            self._schema = self._columns.settle()
        return self._schema

    def _pack(self) -> None:
        """Turn the rows that are held into a table."""
        if self._rows:
            schema = self._settled()
            rows, self._rows, self._text = self._rows, [], 0
            self._hold(self._arrow.Table.from_pylist(rows, schema=schema))

    def _hold(self, table: Any) -> None:
        """Write as many groups of rows as there are whole ones."""
        self._tables.append(table)
        self._held += table.num_rows
        if self._held >= self._row_group:
            whole = self._held - self._held % self._row_group
            held = self._arrow.concat_tables(self._tables)
            self._write(held.slice(0, whole))
            self._held -= whole
            self._tables = [held.slice(whole)] if self._held else []

    def _write(self, table: Any) -> None:
        self._as_a_whole(lambda: self._write_table(table))
        self._output.write_bytes(b"", records=table.num_rows)

    def _write_table(self, table: Any) -> None:
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(
                _Sink(self._output), self._settled(), compression=self._compression
            )
        self._writer.write_table(table, row_group_size=self._row_group)

    def _as_a_whole(self, write: Callable[[], None]) -> None:
        """Write what is of use as a whole only."""
        self._torn = True
        try:
            write()
        except OSError as error:
            # What the disk says is all there is to say: Arrow's own frames help nobody.
            raise error.with_traceback(None) from None
        self._torn = False

    def _end(self) -> None:
        """Write what is held and the end of the file; once."""
        if self._row_group:
            self._pack()
            self._write(self._arrow.concat_tables([*self._tables, self._settled().empty_table()]))
            self._as_a_whole(self._writer.close)
            self._tables, self._row_group = [], 0


class _Sink:
    """Stands for the file that Arrow writes; closing it is left to us."""

    closed = False

    def __init__(self, output: FileOutput) -> None:
        self._output = output

    def write(self, data: bytes) -> int:
        self._output.write_bytes(data, records=0)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
