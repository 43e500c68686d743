"""What of a sample can stand in a file, and the lines of the test that hold it. Pure."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Final

from pipeflow.spec.pipeline import PortRef
from pipeflow.testing.comparing import as_written
from pipeflow.testing.updating import yaml_text

#: The longest list that is expected item by item, in characters.
_MOST: Final = 4000
#: Stands for the folder of the file until the text is whole: no item has this character.
_MARK: Final = "\ue000"
#: As YAML writes it in quotes, and what takes its place.
_FOLDER, _FILE_DIR = r"\ue000", "${file.dir}"
#: Columns that a list in brackets may reach.
_WIDEST: Final = 100


def below(folder: str, item: object) -> object:
    """An item in which the folder of the file is named as such, so that it is found elsewhere."""
    match item:
        case PurePath():
            return below(folder, str(item))
        case str() if item.startswith(f"{folder}{os.sep}"):
            return _MARK + item.removeprefix(folder)
        case list():
            return [below(folder, each) for each in item]
        case dict():
            return {key: below(folder, each) for key, each in item.items()}
        case _:
            return item


def is_writable(items: Sequence[object], *, exactly: bool = False) -> bool:
    """Whether a file can hold items such that they mean the same.

    Args:
        items: The items.
        exactly: They are only compared, as they would be written.
    """
    if exactly:
        if any(map(_has_arrays, items)):
            return False
    elif not all(map(is_plain, items)):
        return False
    return sum(len(yaml_text(as_written(item))) for item in items) <= _MOST


def _has_arrays(item: object) -> bool:
    """Whether there are arrays or tables in it: their numbers are no reading."""
    if isinstance(item, dict):
        return any(map(_has_arrays, item.values()))
    if isinstance(item, list | tuple | set | frozenset):
        return any(map(_has_arrays, item))
    if type(item).__module__.partition(".")[0] in {"numpy", "pandas", "pyarrow"}:
        return not hasattr(item, "__float__") or hasattr(item, "__len__")
    return any(map(_has_arrays, getattr(item, "__dict__", {}).values()))


def is_plain(item: object) -> bool:
    """Whether an item that is read from a file means the same."""
    match item:
        case None | bool() | int() | float() | str() | PurePath():
            return not isinstance(item, Enum | dt.date)
        case list():
            return all(map(is_plain, item))
        case dict():
            return all(isinstance(key, str) and is_plain(each) for key, each in item.items())
        case _:
            return False


def lines_of(
    name: str,
    given: Mapping[PortRef, Sequence[object]],
    expected: PortRef,
    results: Sequence[object] | int,
    params: Mapping[str, str],
) -> list[str]:
    """The lines of the test, without the indentation that all have.

    Args:
        name: Of the test.
        given: What is given.
        expected: Of which port something is expected.
        results: The items, or how many.
        params: Those of the test.
    """
    lines = [f"{name}:"]
    if params:
        lines.append(f"  params: {yaml_text(dict(params))}")
    lines.append("  given:")
    for port, items in given.items():
        lines += _list_lines(f"    {port}:", items)
    lines.append("  expect:")
    if isinstance(results, int):
        lines.append(f"    {expected}: {{count: {results}}}")
    else:
        lines += _list_lines(f"    {expected}:", results)
    return lines


def _list_lines(head: str, items: Sequence[object]) -> Iterator[str]:
    written = [yaml_text(as_written(item)).replace(_FOLDER, _FILE_DIR) for item in items]
    flow = f"{head} [{', '.join(written)}]"
    if len(flow) + 2 <= _WIDEST:
        yield flow
        return
    yield head
    yield from (f"      - {item}" for item in written)
