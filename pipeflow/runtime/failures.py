"""The user's exceptions as text: type, message, the user's own frames, a short view of the item.

Text is all that leaves the process: an exception that cannot be pickled, or not be made again,
is told like any other.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import os
import reprlib
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeflow.errors import ProgramFailed, ProgramTimeout

# Loaded when something has failed, and by workers before their folder is on the path.
if TYPE_CHECKING:
    import traceback

_OURS: Final = str(Path(__file__).resolve().parent.parent)
#: Python's own library, and the folders in it that hold what others wrote.
_PYTHONS: Final = str(Path(os.__file__).parent)
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_VIEW_CHARS: Final = 200


def kind_of(error: BaseException) -> str:
    """Type of an exception, with its module unless it is built in."""
    if isinstance(error, ProgramTimeout):
        return TimeoutError.__name__
    kind = type(error)
    if kind.__module__ == builtins.__name__ or isinstance(error, ProgramFailed):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """The exception as text, with a word on arrays where one helps."""
    try:
        text = str(error)
    except Exception as broken:  # the user's __str__: a boundary
        text = f"(its text cannot be shown: {kind_of(broken)})"
    if isinstance(error, ValueError) and "read-only" in text:
        text += (
            " (arrays are shared, so read-only: copy it, or set `arrays: copy` on the edge;"
            " if it was passed on, make another by `pipeflow.empty`)"
        )
    if f"[Errno {errno.ENOMEM}]" in text:
        text += _address_space()
    return text


def _address_space() -> str:
    """The limit that most likely refused memory, if there is one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return ""
    return (
        f" (`ulimit -v` bounds the address space of each process to {soft / 2**20:.0f} MiB, and"
        " shared arrays may take half of it: lift it)"
    )


def traceback_of(error: BaseException) -> str:
    """The traceback without our own frames; the causes and contexts too."""
    import traceback

    try:
        told = traceback.TracebackException.from_exception(error, compact=True)
        _strip(told, seen=set())
        return "".join(told.format())
    except Exception as broken:  # the user's __str__ or __repr__ again: a boundary
        return f"{kind_of(error)} (its traceback cannot be shown: {kind_of(broken)})\n"


def own_traceback(error: BaseException) -> str:
    """The traceback of the user's code behind an error of ours; empty if none is in it.

    What cannot be pickled by nature, such as a lock, has no frame of the user's: its text says all.
    """
    cause = error.__cause__
    return "" if cause is None else users_traceback(cause)


def users_traceback(error: BaseException) -> str:
    """The traceback if any of the user's code is in it; else empty."""
    text = traceback_of(error)
    return text if '  File "' in text else ""


def _strip(told: traceback.TracebackException, seen: set[int]) -> None:
    if id(told) in seen:
        return
    seen.add(id(told))
    import traceback

    kept = [frame for frame in told.stack if not is_ours(frame.filename)]
    if all(_is_of_python(frame.filename) for frame in kept):
        kept = []  # an operator of ours called it: nothing in there is for the user to mend
    told.stack = traceback.StackSummary.from_list(kept)
    for linked in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if linked is not None:
            _strip(linked, seen)


def is_ours(filename: str) -> bool:
    """Whether a frame is of no use to the user: pipeflow's own, or the import machinery's."""
    return filename.startswith((_OURS, "<frozen importlib")) or filename == importlib.__file__


def _is_of_python(filename: str) -> bool:
    if filename.startswith("<frozen "):
        return True
    return filename.startswith(_PYTHONS) and not _INSTALLED.intersection(Path(filename).parts)


class _View(reprlib.Repr):
    """Short, and never longer than a line.

    Args:
        mask: Takes secrets out of a text; before it is cut, or a part of one would stay.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._mask = mask
        self.maxstring = self.maxother = 120
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 6
        self.maxlevel = 3

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(self._mask(x), level)

    def repr_instance(self, x: Any, level: int) -> str:
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(x, numpy.ndarray):
            return f"<array {x.dtype} {x.shape}>"
        try:
            shown: object = _Shown(self._mask(repr(x)))
        except Exception:  # the user's __repr__: the item around it may still be shown
            shown = x
        return super().repr_instance(shown, level)

    def repr_ndarray(self, x: Any, level: int) -> str:
        return self.repr_instance(x, level)


class _Shown:
    """Something by its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def view_of(payload: Any, mask: Callable[[str], str] = str) -> str:
    """A short view of an item, on one line; never raises.

    Args:
        payload: The item.
        mask: Takes secrets out of a text.
    """
    try:
        text = mask(_View(mask).repr(payload))
    except Exception as broken:  # the user's __repr__: a boundary
        text = f"<{type(payload).__qualname__}, which cannot be shown: {kind_of(broken)}>"
    text = " ".join(text.split())
    return text if len(text) <= _VIEW_CHARS else text[: _VIEW_CHARS - 3] + "..."
