"""join: items together with the row of a table that has their key."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.ports import UNMATCHED
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import declaration_of, operator
from pipeflow.stages.expression import Expression
from pipeflow.stages.registry import load_operator
from pipeflow.stages.work import BadRecord, Routed

#: What to do with an item whose key is not in the table.
_MISSING: Final = {
    UNMATCHED: "it leaves by `unmatched`, and goes no further if nobody reads that",
    "keep": "it is passed on with `None` in the table's columns",
    "fail": "it is an error, and `on_error` says what follows",
}

_READERS: Final = {".csv": "csv.read", ".jsonl": "jsonl.read", ".ndjson": "jsonl.read"}


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """A table in the file has rows; one beside it has a name that tells how to read it."""
    table = given.get("table")
    if isinstance(table, str) and "${" not in table and _reader(table) is None:
        return [
            Misuse(
                "table",
                f"'table' is read by the end of its name, and '{table}' has none that is known",
                "a table is a .csv or .jsonl file, or one of these with .gz behind it",
            )
        ]
    for number, row in enumerate(table if isinstance(table, list) else (), 1):
        if not isinstance(row, dict) or given.get("key", "") not in row:
            what = "is no mapping" if not isinstance(row, dict) else f"has no '{given.get('key')}'"
            return [Misuse("table", f"row {number} of 'table' {what}", "- {id: 1, name: Ada}")]
    if isinstance(table, list) and given.get("types") is not None:
        problem = "'types' is for a .csv file: other tables have types already"
        return [Misuse("types", problem, "take 'types' out, or write the table to a .csv file")]
    return []


@operator(
    name="join",
    role=Role.OPERATOR,
    summary="Adds to each item the row of a table that has its key: a lookup.",
    details=(
        "Items and rows are mappings. The columns of the row are added to the item, but where the "
        "item has a field of that name its own stays. The table is read once, when the stage "
        "starts, and held in memory by each replica; no key may stand in it twice. To join two "
        "streams, give a stage named inputs and `join: {key: ...}`."
    ),
    options=(
        Option(
            name="table",
            types=(OptionType.PATH, OptionType.LIST),
            default=REQUIRED,
            description=(
                "A `.csv` or `.jsonl` file, maybe with `.gz` behind it, or the rows themselves."
            ),
            examples=("users.csv", [{"id": 1, "name": "Ada"}]),
        ),
        Option(
            name="by",
            types=(OptionType.EXPRESSION,),
            default=REQUIRED,
            description="The key of an item.",
            examples=('item["user"]',),
        ),
        Option(
            name="key",
            types=(OptionType.STRING,),
            default=REQUIRED,
            description="The column of the table that has the key; it is not added.",
            examples=("id",),
        ),
        Option(
            name="columns",
            types=(OptionType.LIST,),
            default=None,
            description="The columns to add; all but `key` when left out.",
            examples=(["name", "country"],),
        ),
        Option(
            name="types",
            types=(OptionType.MAPPING,),
            default=None,
            description=(
                "For a `.csv` file: column to `integer`, `number`, `boolean` or `string`, the "
                'default. The keys must be of the same type: `"7"` is not `7`.'
            ),
            examples=({"id": "integer"},),
        ),
        Option(
            name="missing",
            types=(OptionType.STRING,),
            default=UNMATCHED,
            description="What becomes of an item whose key the table does not have.",
            choices=tuple(_MISSING),
            choice_docs=tuple(_MISSING.values()),
        ),
    ),
    one_to_one=True,
    may_drop=True,
    ports=("out", UNMATCHED),
    judge=_judge,
    gives="dict",
    example="""
stages:
  orders:
    use: jsonl.read
    with:
      path: orders.jsonl

  named:
    use: join
    inputs: orders
    with:
      table: customers.csv
      by: 'item["customer"]'
      key: id
      types:
        id: integer

  show:
    use: print
    inputs: named

  strangers:
    use: 'null'
    inputs: named.unmatched
""",
    example_files={
        "orders.jsonl": '{"customer": 2, "price": 30}\n{"customer": 5, "price": 1}\n',
        "customers.csv": "id,name\n1,Ada\n2,Grace\n",
    },
)
class JoinTable:
    """Holds what each key adds."""

    def __init__(
        self,
        table: Path | list[Any],
        by: Expression,
        key: str,
        columns: list[Any] | None,
        types: dict[str, Any] | None,
        missing: str,
    ) -> None:
        self._by = by
        self._missing = missing
        rows: Iterable[Any] = table if isinstance(table, list) else _rows(table, types)
        self._added: dict[Hashable, dict[str, Any]] = {}
        names: dict[str, None] = {}
        for number, row in enumerate(rows, 1):
            found, added = _split(row, key, columns, f"row {number} of the table")
            if found in self._added:
                raise ValueError(f"the table has the key {found!r} twice, again in row {number}")
            names.update(dict.fromkeys(added))
            self._added[found] = added
        self._none = dict.fromkeys(names)

    def __call__(self, item: Any) -> Any:
        key = self._by(item)
        added = self._added.get(key)
        if not isinstance(item, Mapping):
            raise TypeError(f"only mappings can be added to, and this is a {type(item).__name__}")
        if added is None:
            if self._missing == UNMATCHED:
                return Routed(UNMATCHED, item)
            if self._missing == "fail":
                raise LookupError(f"the table has no key {key!r}{self._near(key)}")
            added = self._none
        return {**item, **added, **item}  # the item's own fields keep their place and value

    def _near(self, key: Hashable) -> str:
        """What is often the reason."""
        if isinstance(key, int) and str(key) in self._added:
            return f", but it has {str(key)!r}: give `types` for a .csv file"
        return ""


def _reader(name: str) -> str | None:
    path = Path(name.removesuffix(".gz"))
    return _READERS.get(path.suffix.lower())


def _rows(path: Path, types: dict[str, Any] | None) -> Iterator[Any]:
    """The rows of a file.

    Raises:
        ValueError: Its name tells nothing, or a record cannot be read.
    """
    name = _reader(str(path))
    if name is None:
        raise ValueError(f"{path} is neither a .csv nor a .jsonl file")
    kind = load_operator(name)
    declaration = declaration_of(kind)
    assert declaration is not None
    given: dict[str, object] = {"path": str(path)}
    if types is not None:
        given["types"] = types
    source = kind(**declaration.arguments(given, {}))
    try:
        for row in source():
            if isinstance(row, BadRecord):
                raise row.error
            yield row
    finally:
        source.close()


def _split(
    row: Any, key: str, columns: list[Any] | None, what: str
) -> tuple[Hashable, dict[str, Any]]:
    """The key of a row, and what it adds to an item.

    Raises:
        ValueError: It has no such column, or none at all.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"{what} is a {type(row).__name__}, no mapping")  # noqa: TRY004 - of data
    for name in (key, *(columns or ())):
        if name not in row:
            raise ValueError(f"{what} has no column {name!r}; it has {', '.join(map(str, row))}")
    chosen = row if columns is None else columns
    return row[key], {name: row[name] for name in chosen if name != key}
