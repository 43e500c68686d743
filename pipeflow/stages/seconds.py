"""Times that expressions give: seconds since 1970, or datetimes."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Final

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - for times without a zone
_EPOCH_UTC: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

#: How finely times are told apart: a float near today has a quarter of that.
PER_SECOND: Final = 1_000_000


def microseconds(time: Any) -> int:
    """A time as microseconds since 1970; one without a zone is taken for UTC.

    Raises:
        TypeError: It is neither a finite number nor a datetime.
    """
    match time:
        case bool():
            pass
        case int() | float() if math.isfinite(time):
            return round(time * PER_SECOND)
        case dt.datetime():
            since = time - (_EPOCH if time.tzinfo is None else _EPOCH_UTC)
            return since // dt.timedelta(microseconds=1)
        case _:
            pass
    raise TypeError(
        f"a time is a number of seconds since 1970, or a datetime, not {time!r}; a text is read by "
        "datetime.datetime.fromisoformat(...)"
    )


def like(time: Any, at: int) -> Any:
    """Microseconds since 1970 in the form of another time: seconds, or a datetime of its zone."""
    if not isinstance(time, dt.datetime):
        whole, rest = divmod(at, PER_SECOND)
        return at / PER_SECOND if rest else whole
    since = dt.timedelta(microseconds=at)
    if time.tzinfo is None:
        return _EPOCH + since
    return (_EPOCH_UTC + since).astimezone(time.tzinfo)
