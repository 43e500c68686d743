"""Where a stage may stand, and how its code meets the items."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """Where a stage may stand."""

    SOURCE = "source"
    OPERATOR = "operator"
    SINK = "sink"


class Shape(Enum):
    """How the user's code meets the items."""

    FUNCTION = "function"  #: one call an item
    GENERATOR = "generator"  #: one call an item, any number of results
    ASYNC = "async"  #: ``async def``, or a class whose ``__call__`` is
    STREAM = "stream"  #: ``@pipeflow.stream``: one call, the whole stream
    CLASS = "class"  #: an object per worker, called with each item
    UNKNOWN = "unknown"  #: decorated, re-exported or conditional: seen only when it runs
