"""Arrays of other classes than numpy's own, and of objects: taken apart, and put together again.

Where a class leaves pickling to numpy, the plain array under it travels like any, and is seen as
that class again. What has a way of its own goes that way, and is made read-only at its end. What
is not plain is named here by functions of this module, which the pickles call.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pipeflow.transports.reading import is_private

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: By what a class says how its arrays are pickled.
_WAYS: Final = ("__reduce_ex__", "__reduce__", "__setstate__", "__getstate__")
_PROTOCOL: Final = 5


def reducers(numpy: Any) -> dict[type, Callable[[Any], Any]]:
    """How each class of arrays that there is by now is taken apart.

    Args:
        numpy: The module.
    """
    plain = numpy.ndarray
    # A class that can be pickled stands in a module: there are no more of them while both are as
    # many. To look at all of them takes 10 us, for each packet.
    return _reducers(plain, len(sys.modules), len(plain.__subclasses__()))


def copiers(numpy: Any) -> dict[type, Callable[[Any], Any]]:
    """How arrays are taken apart so that those that cannot be written still cannot afterwards.

    Args:
        numpy: The module.
    """
    return dict.fromkeys((numpy.ndarray, *reducers(numpy)), _as_writable_as_it_is)


def in_its_own_way(array: Any) -> Any:
    """Reduce an array as its class does, to one that is read-only where it arrives."""
    reduced = array.__reduce_ex__(_PROTOCOL)
    if type(reduced) is not tuple or len(reduced) > 3:
        return reduced
    make, args, state = (*reduced, None)[:3]
    if state is None:
        return make_read_only, (make, args)
    return make, args, state, None, None, set_state


def view_as(array: Array, kind: type[Any]) -> Any:
    """Rebuild an array of a subclass; called by its pickle."""
    return array.view(kind)


def view_masked(data: Array, mask: Array | None, fill_value: Any) -> Any:
    """Rebuild an array with a mask; called by its pickle."""
    from numpy import ma

    nowhere: Any = ma.nomask
    return ma.MaskedArray(
        data, mask=nowhere if mask is None else mask, fill_value=fill_value, copy=False
    )


def make_read_only(make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Rebuild an array that is made in one step; called by its pickle."""
    return _read_only(make(*args))


def set_state(array: Any, state: Any) -> None:
    """Fill an array that was just made; called by its pickle."""
    array.__setstate__(state)
    _read_only(array)


def _read_only(array: Any) -> Any:
    """The array, read-only unless its reader has asked for its own."""
    if not is_private():
        for part in (array, getattr(array, "_mask", None)):
            if part is not None and hasattr(part, "setflags"):
                part.setflags(write=False)
    return array


@functools.lru_cache(maxsize=1)
def _reducers(plain: type, _modules: int, _kinds: int) -> dict[type, Callable[[Any], Any]]:
    found = {kind: _reducer(kind, plain) for kind in _classes_below(plain)}
    masked = sys.modules.get("numpy.ma")
    if masked is not None:
        found[masked.MaskedArray] = _reduce_masked
    return found


def _as_writable_as_it_is(array: Any) -> Any:
    plain = type(array).__name__ == "ndarray" and not array.dtype.hasobject
    if plain or array.flags.writeable:
        return array.__reduce_ex__(_PROTOCOL)  # buffers of plain ones know whether they are
    return in_its_own_way(array)


def _classes_below(kind: type) -> Iterator[type]:
    below: list[type] = kind.__subclasses__()
    for each in below:
        yield each
        yield from _classes_below(each)


def _reducer(kind: type, plain: type) -> Callable[[Any], Any]:
    own = any(getattr(kind, way, None) is not getattr(plain, way, None) for way in _WAYS)
    return in_its_own_way if own else _reduce_to_view


def _reduce_to_view(array: Array) -> Any:
    import numpy as np

    return view_as, (array.view(np.ndarray), type(array))


def _reduce_masked(array: Any) -> Any:
    import numpy as np

    if array.baseclass is not np.ndarray or array.dtype.hasobject:
        return in_its_own_way(array)
    mask: Any = None if array.mask is np.ma.nomask else array.mask.view(np.ndarray)
    return view_masked, (array.data, mask, vars(array)["_fill_value"])
