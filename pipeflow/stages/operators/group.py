"""group: figures for each key: how many, the sum, the mean and the like."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator
from pipeflow.stages.expression import Expression
from pipeflow.values import dataclass

_WORDS: Final[Mapping[str, str]] = {
    "sum": "Sums, of numbers or of whatever `+` adds.",
    "mean": "Means of numbers.",
    "min": "The least values.",
    "max": "The greatest values.",
    "first": "The values of the first item.",
    "last": "The values of the last item.",
    "distinct": "How many different values there were; memory grows with that number.",
    "list": "Lists of all values, in order; memory grows with the number of items.",
}

#: What these make of the value so far and the next one; the first value is taken as it is.
_FOLDS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "sum": lambda so_far, value: so_far + value,
    "min": lambda so_far, value: min(so_far, value),
    "max": lambda so_far, value: max(so_far, value),
    "first": lambda so_far, _: so_far,
    "last": lambda _, value: value,
}

_KINDS: Final = (OptionType.EXPRESSION, OptionType.EXPRESSIONS)


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """Two fields of the result may not have one name."""
    by = given.get("by")
    if given.get("sorted") and by is None:
        problem = "'sorted' is for groups by key, and there is no 'by'"
        return [Misuse("sorted", problem, """by: 'item["user"]', or take 'sorted' out""")]
    taken = dict.fromkeys(by if isinstance(by, Mapping) else ("key",) if by is not None else ())
    for name in ("count", *_WORDS):
        value = given.get(name, "count" if name == "count" else None)
        if name == "count":
            fields: Sequence[Any] = [value] if value else []
        elif value is None:
            fields = []
        else:
            fields = list(value) if isinstance(value, Mapping) else [name]
        for field in fields:
            if field in taken:
                return [
                    Misuse(
                        name if name in given else "by",
                        f"two fields of the result are called '{field}'",
                        f"name them apart: `{name}: {{my_{field}: ...}}`"
                        if name != "count"
                        else "`count: items` gives the number of items another name",
                    )
                ]
            taken[field] = None
    return []


@operator(
    name="group",
    role=Role.OPERATOR,
    summary="Groups items by a key and gives one record for each: counts, sums, means and more.",
    details=(
        "A record has the key, as `key` or under the names that `by` gives; the number of items, "
        "as `count`; and the figures that are asked for. `sum: EXPR` adds a field `sum`, and "
        "`sum: {bytes: EXPR, seconds: EXPR}` the fields `bytes` and `seconds`; so do the others. "
        "Values that are `None` are left out of all figures but `count`, as in SQL; a figure of "
        "none is `None`.\n\n"
        "The records come at the end, in the order in which the keys came first, and memory grows "
        "with the number of keys alone. Where equal keys stand together, as behind `sort`, "
        "`sorted: true` gives each record as soon as the key changes and holds but one. Of "
        "several replicas each gives its own: let `partition` have the same key."
    ),
    options=(
        Option(
            name="by",
            types=_KINDS,
            default=None,
            description=(
                "The key, hashable as text and numbers are, or several by name; all items are one "
                "group when left out."
            ),
            examples=('item["page"]', {"user": 'item["user"]', "day": 'item["time"][:10]'}),
        ),
        Option(
            name="count",
            types=(OptionType.STRING,),
            default="count",
            description='Name of the field with the number of items; `""` leaves it out.',
            examples=("visits",),
        ),
        *(
            Option(
                name=name,
                types=_KINDS,
                default=None,
                description=words,
                examples=('item["bytes"]', {"bytes": 'item["bytes"]'}),
            )
            for name, words in _WORDS.items()
        ),
        Option(
            name="sorted",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Equal keys stand together: give each record when the key changes.",
        ),
    ),
    keeps_state=True,
    judge=_judge,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 10

  remainders:
    use: group
    inputs: numbers
    with:
      by:
        remainder: "item % 3"
      count: numbers
      sum:
        total: "item"
      max: "item"

  show:
    use: print
    inputs: remainders
    with:
      format: table
""",
)
class Group:
    """Keeps a row of figures for each key: how many items, then one figure for each field."""

    def __init__(
        self,
        by: Expression | dict[str, Expression] | None,
        count: str,
        sum: Expression | dict[str, Expression] | None,
        mean: Expression | dict[str, Expression] | None,
        min: Expression | dict[str, Expression] | None,
        max: Expression | dict[str, Expression] | None,
        first: Expression | dict[str, Expression] | None,
        last: Expression | dict[str, Expression] | None,
        distinct: Expression | dict[str, Expression] | None,
        list: Expression | dict[str, Expression] | None,
        sorted: bool,
    ) -> None:
        self._key, self._key_names = _key(by)
        self._count = count
        asked = {
            "sum": sum, "mean": mean, "min": min, "max": max, "first": first, "last": last,
            "distinct": distinct, "list": list,
        }  # fmt: skip
        self._figures = tuple(
            figure for kind, given in asked.items() for figure in _figures(kind, given)
        )
        self._sorted = sorted
        self._rows: dict[Hashable, Any] = {}

    def __call__(self, item: Any) -> dict[str, Any] | None:
        key = self._key(item)
        # All before any: an item that fails must leave no trace.
        values = [figure.value(item) for figure in self._figures]
        row = self._rows.get(key)
        if row is not None:
            _add(row, self._figures, values)
            return None
        row = [0, *(figure.empty() for figure in self._figures)]
        _add(row, self._figures, values)
        done = self._record() if self._sorted and self._rows else None
        self._rows[key] = row
        return done

    def finish(self) -> Iterator[dict[str, Any]]:
        """The records that were not given yet."""
        while self._rows:
            yield self._record()

    def _record(self) -> dict[str, Any]:
        """The record of the oldest key, which is let go."""
        key = next(iter(self._rows))
        row = self._rows.pop(key)
        if self._key_names is None:
            record = {}
        elif self._key_names:
            record = dict(zip(self._key_names, key, strict=True))
        else:
            record = {"key": key}
        if self._count:
            record[self._count] = row[0]
        for figure, so_far in zip(self._figures, row[1:], strict=True):
            record[figure.name] = figure.result(so_far)
        return record


@dataclass(frozen=True, slots=True)
class _Figure:
    """One field of the records.

    Attributes:
        name: Of the field.
        value: What an item adds.
        empty: What there is before the first value.
        fold: Makes the next of what there is and a value.
        result: What is shown of it.
    """

    name: str
    value: Expression
    empty: Callable[[], Any]
    fold: Callable[[Any, Any], Any]
    result: Callable[[Any], Any]


def _add(row: list[Any], figures: Sequence[_Figure], values: Sequence[Any]) -> None:
    """Add an item's values to a row; whole or not at all."""
    if figures:
        row[1:] = [
            so_far if value is None else figure.fold(so_far, value)
            for figure, so_far, value in zip(figures, row[1:], values, strict=True)
        ]
    row[0] += 1


def _key(
    by: Expression | dict[str, Expression] | None,
) -> tuple[Expression, tuple[str, ...] | None]:
    """Gives the key of an item, and the names of its parts: none for one key, ``None`` for none."""
    if by is None:
        return lambda _: None, None
    if not isinstance(by, dict):
        return by, ()
    parts = tuple(by.values())
    return lambda item: tuple([part(item) for part in parts]), tuple(by)


def _figures(kind: str, given: Expression | dict[str, Expression] | None) -> Iterator[_Figure]:
    """The fields of one kind. Those that change what they keep cannot fail, and come last."""
    fields = given if isinstance(given, dict) else {} if given is None else {kind: given}
    for name, value in fields.items():
        match kind:
            case "mean":
                yield _Figure(name, value, lambda: None, _add_to_mean, _mean)
            case "distinct":
                yield _Figure(name, _hashable(value), set, _add_to_set, len)
            case "list":
                yield _Figure(name, value, list, _append, lambda values: values)
            case _:
                yield _Figure(name, value, lambda: None, _first_or(_FOLDS[kind]), lambda it: it)


def _first_or(fold: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda so_far, value: value if so_far is None else fold(so_far, value)


def _add_to_mean(so_far: tuple[Any, int] | None, value: Any) -> tuple[Any, int]:
    # A text would only fail when the mean is asked for.
    return (value / 1, 1) if so_far is None else (so_far[0] + value, so_far[1] + 1)


def _mean(so_far: tuple[Any, int] | None) -> Any:
    return None if so_far is None else so_far[0] / so_far[1]


def _add_to_set(seen: set[Any], value: Any) -> set[Any]:
    seen.add(value)
    return seen


def _append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _hashable(value: Expression) -> Expression:
    def checked(item: Any) -> Any:
        found = value(item)
        hash(found)
        return found

    return checked
