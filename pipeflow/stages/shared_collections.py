"""The dicts and lists that stages share, as each of them sees them; ``shared_store`` keeps them."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from types import TracebackType
from typing import Any, Self, SupportsIndex, overload

from pipeflow.spec.shared import Shared
from pipeflow.stages.shared_lock import Hold
from pipeflow.stages.shared_store import Link


class State:
    """What all of them have: a name, and a lock."""

    def __init__(self, name: str, hold: Hold) -> None:
        self._name = name
        self._hold = hold

    def __enter__(self) -> Self:
        self._hold.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hold.__exit__(kind, error, traceback)


class Collection(State, ABC):
    """What lives in the manager process: there it is changed, and what is read is a copy.

    Args:
        shared: What it is.
        hold: Its lock.
        number: Of the state.
        link: The way to where it is kept.
    """

    def __init__(self, shared: Shared, hold: Hold, number: int, link: Link) -> None:
        super().__init__(shared.name, hold)
        self._number = number
        self._link = link

    @property
    def value(self) -> Self:
        """The collection itself; set it to replace all that it holds."""
        return self

    @value.setter
    def value(self, new: Any) -> None:
        self._do("replace", self._dumped(new))

    def __len__(self) -> int:
        return int(self._do("count"))

    def __delitem__(self, key: Any) -> None:
        self._do("delete", key)

    def clear(self) -> None:
        """Take everything out."""
        self._do("replace", [])

    @abstractmethod
    def copy(self) -> Any:
        """All that it holds now, as a plain dict or list."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Collection):
            other = other.copy()
        plain: object = self.copy()
        return plain == other

    __hash__ = None  # type: ignore[assignment]  # what it holds may change

    def __repr__(self) -> str:
        return f"<shared {self._name!r}: {self.copy()!r}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        plain = self.copy()
        return type(plain), (plain,)

    def _do(self, act: str, *arguments: Any) -> Any:
        return self._link(self._number, act, arguments)

    @abstractmethod
    def _dumped(self, new: Any) -> list[Any]:
        """What another collection holds, as the manager takes it."""


class SharedDict(Collection, MutableMapping[Any, Any]):
    """A dict that lives in the manager process. What is read is a copy, so it is set to change it.

    As an item of the pipeline it travels as a plain dict: what it holds then.
    """

    def __getitem__(self, key: Any) -> Any:
        return _load(self._do("get", key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._do("set", _hashable(key), _dump(value))

    def __contains__(self, key: object) -> bool:
        return bool(self._do("has", key))

    def __iter__(self) -> Iterator[Any]:
        """The keys that there are now; what changes meanwhile does not matter."""
        keys: list[Any] = self._do("keys")
        return iter(keys)

    def get(self, key: Any, default: Any = None) -> Any:
        """What stands behind a key, or the default."""
        found = self._do("find", key)
        return default if found is None else _load(found)

    def keys(self) -> Any:
        """The keys, as a list."""
        return self._do("keys")

    def values(self) -> Any:
        """The values, as a list."""
        return [_load(value) for value in self._do("values")]

    def items(self) -> Any:
        """Keys with their values, as a list of pairs."""
        return [(key, _load(value)) for key, value in self._do("items")]

    def pop(self, key: Any, *default: Any) -> Any:
        """Take a key out, and give what stood behind it."""
        found = self._do("pop", key, *([None] if default else []))
        return default[0] if found is None else _load(found)

    def popitem(self) -> tuple[Any, Any]:
        """Take out what came last."""
        key, value = self._do("pop_last")
        return key, _load(value)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """What stands behind a key; the default if nothing did, and from now on."""
        return _load(self._do("set_default", _hashable(key), _dump(default)))

    def update(self, *others: Any, **more: Any) -> None:
        """Take over what other mappings, or pairs, hold; in one step."""
        new = dict(*others, **more)
        self._do("update", self._dumped(new))

    def copy(self) -> dict[Any, Any]:
        """All that it holds now, as a plain dict."""
        return dict(self.items())

    def _dumped(self, new: Mapping[Any, Any]) -> list[Any]:
        return [(key, _dump(value)) for key, value in new.items()]


class SharedList(Collection, MutableSequence[Any]):
    """A list that lives in the manager process. What is read is a copy, so it is set to change it.

    As an item of the pipeline it travels as a plain list: what it holds then.
    """

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        found = self._do("get", index)
        return [_load(value) for value in found] if isinstance(index, slice) else _load(found)

    def __setitem__(self, index: int | slice, value: Any) -> None:
        new = [_dump(each) for each in value] if isinstance(index, slice) else _dump(value)
        self._do("set", index, new)

    def __iter__(self) -> Iterator[Any]:
        """What it holds now; what changes meanwhile does not matter."""
        return iter(self.copy())

    def __reversed__(self) -> Iterator[Any]:
        return iter(self.copy()[::-1])

    def __contains__(self, value: object) -> bool:
        return value in self.copy()

    def append(self, value: Any) -> None:
        """Add one at the end."""
        self._do("append", _dump(value))

    def extend(self, values: Iterable[Any]) -> None:
        """Add several at the end, in one step."""
        self._do("extend", self._dumped(values))

    def __iadd__(self, values: Iterable[Any]) -> Self:
        self.extend(values)
        return self

    def insert(self, index: int, value: Any) -> None:
        """Add one before another."""
        self._do("insert", index, _dump(value))

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Take one out, and give it."""
        return _load(self._do("pop", index))

    def remove(self, value: Any) -> None:
        """Take out the first that is equal; under the lock."""
        with self:
            del self[self.copy().index(value)]

    def reverse(self) -> None:
        """Turn the order round; under the lock."""
        with self:
            self.value = self.copy()[::-1]

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> None:
        """Put it in order; under the lock."""
        with self:
            self.value = sorted(self.copy(), key=key, reverse=reverse)

    def index(self, value: Any, *bounds: Any) -> int:
        """Where the first that is equal stands."""
        return self.copy().index(value, *bounds)

    def count(self, value: Any) -> int:
        """How many are equal."""
        return self.copy().count(value)

    def copy(self) -> list[Any]:
        """All that it holds now, as a plain list."""
        return [_load(value) for value in self._do("values")]

    def _dumped(self, new: Iterable[Any]) -> list[Any]:
        return [_dump(value) for value in new]


def _dump(value: Any) -> bytes:
    return pickle.dumps(value, protocol=5)


def _load(data: Any) -> Any:
    return pickle.loads(data)


def _hashable(key: Any) -> Any:
    hash(key)  # raises as a dict does, where the user's code is
    return key
