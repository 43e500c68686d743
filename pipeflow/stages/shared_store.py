"""The dicts and lists that stages share, where they are kept: in the manager process, or inline.

Keys are objects, values are pickles that nobody opens here: they are made and read by the stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pipeflow.spec.shared import SharedKind

#: Does something to a piece of state: its number, the name of what to do, and the arguments.
Link = Callable[[int, str, tuple[Any, ...]], Any]


class Store:
    """All of them, by number.

    Args:
        kinds: What each is; for those that lie elsewhere nothing is kept.
    """

    def __init__(self, kinds: Sequence[SharedKind]) -> None:
        self._dicts: dict[int, dict[Any, bytes]] = {}
        self._lists: dict[int, list[bytes]] = {}
        for number, kind in enumerate(kinds):
            if kind is SharedKind.DICT:
                self._dicts[number] = {}
            elif kind is SharedKind.LIST:
                self._lists[number] = []

    def do(self, number: int, act: str, arguments: tuple[Any, ...]) -> Any:
        """Do something to a piece of state, and give what comes of it.

        Raises:
            KeyError, IndexError, TypeError, ValueError: As a dict or a list would.
        """
        if number in self._dicts:
            return _DICT[act](self._dicts[number], *arguments)
        return _LIST[act](self._lists[number], *arguments)


def _replace_dict(state: dict[Any, bytes], pairs: Sequence[tuple[Any, bytes]]) -> None:
    state.clear()
    state.update(pairs)


def _replace_list(state: list[bytes], values: Sequence[bytes]) -> None:
    state[:] = values


_DICT: Final[Mapping[str, Callable[..., Any]]] = {
    "get": lambda state, key: state[key],
    "find": dict.get,
    "set": dict.__setitem__,
    "delete": dict.__delitem__,
    "has": dict.__contains__,
    "count": len,
    "keys": list,
    "values": lambda state: list(state.values()),
    "items": lambda state: list(state.items()),
    "pop": dict.pop,
    "pop_last": dict.popitem,
    "set_default": dict.setdefault,
    "update": dict.update,
    "replace": _replace_dict,
}

_LIST: Final[Mapping[str, Callable[..., Any]]] = {
    "get": list.__getitem__,
    "set": list.__setitem__,
    "delete": list.__delitem__,
    "count": len,
    "values": list,
    "append": list.append,
    "extend": list.extend,
    "insert": list.insert,
    "pop": list.pop,
    "replace": _replace_list,
}
