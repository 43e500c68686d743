"""Durations and sizes as people write them: ``50ms`` to seconds, ``64KiB`` to bytes, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeflow.config.problem import Problem
from pipeflow.spec.durations import DURATION_UNITS, seconds

#: Bytes in each unit.
SIZE_UNITS: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
#: The same for editors, as regular expressions of ECMAScript; how much is too much they do not say.
DURATION_PATTERN: Final = r"\s*(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|ms|s|m|h|d))+\s*|\s*0\s*"
SIZE_PATTERN: Final = (
    r"\s*\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?:" + "|".join(SIZE_UNITS) + r")\s*|\s*0\s*"
)
_POWERS: Final = {"K": (3, 10), "M": (6, 20), "G": (9, 30), "T": (12, 40)}
_QUANTITY: Final = re.compile(r"\s*([-+]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([^\W\d_]*)\s*")
_SPELLED: Final = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "µs": "us",
    "μs": "us",
}
#: Nothing is longer than 30,000 years or bigger than 2^63 bytes; more digits are a slip.
_LONGEST: Final = 40
_MOST_SECONDS: Final = 1e12
_MOST_BYTES: Final = 2**63


def duration(value: object) -> float | Problem:
    """Seconds in ``50ms``, ``2s``, ``5m``, ``1h``, ``1h30m``; a bare 0 is no time at all."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _problem("duration", f"expected a duration, got {value!r}", "50ms, 2s, 5m, 1h")
    if not isinstance(value, str):
        return 0.0 if value == 0 else _without_unit_of_time(f"{value}")
    text = value.strip()
    found = seconds(text) if len(text) <= _LONGEST else None
    if found is not None:
        return found if found <= _MOST_SECONDS else _too_much("duration", text)
    return 0.0 if text == "0" else _unclear_duration(text)


def size(value: object) -> int | Problem:
    """Bytes in ``64KiB`` or ``4GB``; a bare 0 is no bytes at all."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _problem("size", f"expected a size, got {value!r}", "64KiB, 4GB")
    if not isinstance(value, str):
        return 0 if value == 0 else _without_unit_of_size(f"{value}")
    text = value.strip()
    quantity = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if quantity is None or quantity[1] == "-":
        return _problem("size", f'unknown size "{_short(text)}"', "write it like 64KiB or 4GB")
    number, unit = quantity[2], quantity[3]
    if not unit:
        return 0 if float(number) == 0 else _without_unit_of_size(text)
    if unit not in SIZE_UNITS:
        return _problem("size", f'unknown size "{text}"', _meant_size(number, unit))
    amount = float(number) * SIZE_UNITS[unit]
    if amount >= _MOST_BYTES:
        return _too_much("size", text)
    # Whole numbers stay exact: floats have 53 bits only.
    return int(number) * SIZE_UNITS[unit] if number.isdigit() else round(amount)


def duration_text(seconds: float) -> str:
    """The shortest text that ``duration`` reads as exactly so many seconds: ``50ms``, ``5m``."""
    texts = [text for text in _texts(seconds, DURATION_UNITS) if duration(text) == seconds]
    if texts:
        return min(texts, key=len)
    from decimal import Decimal  # hardly any duration needs as many digits

    return f"{Decimal(repr(seconds)):f}s"


def size_text(number: int) -> str:
    """The shortest text that ``size`` reads as exactly so many bytes: ``64MiB``, ``2GB``."""
    texts = [text for text in _texts(number, SIZE_UNITS) if size(text) == number]
    return min(texts, key=len, default=f"{number}B")


def _texts(quantity: float, units: Mapping[str, float]) -> list[str]:
    """The quantity in each unit, without exponents; rounded, so not all of them are equal to it."""
    numbers = ((f"{quantity / unit:.15g}", name) for name, unit in units.items())
    return [number + name for number, name in numbers if "e" not in number]


def _unclear_duration(text: str) -> Problem:
    quantity = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if quantity is None or quantity[1] == "-":
        return _problem("duration", f'unknown duration "{_short(text)}"', "50ms, 2s, 5m, 1h")
    number, unit = quantity[2], quantity[3]
    if not unit:
        return _without_unit_of_time(number)
    lower = unit.lower()
    meant = _SPELLED.get(lower, lower if lower in DURATION_UNITS else None)
    hint = f"{number}{meant}" if meant else "50ms, 2s, 5m, 1h"
    return _problem("duration", f'unknown duration "{text}"', hint)


def _meant_size(number: str, unit: str) -> str:
    letter = unit[0].upper()
    if letter in _POWERS and unit[1:].lower() in {"", "b", "ib"}:
        tens, twos = _POWERS[letter]
        return f"{number}{letter}B (10^{tens}) or {number}{letter}iB (2^{twos})"
    if unit.lower() in {"b", "byte", "bytes"}:
        return f"{number}B"
    return "write it like 64KiB or 4GB"


def _without_unit_of_time(number: str) -> Problem:
    return _problem("duration", "a duration needs a unit", f"{number}s, {number}ms, {number}m")


def _without_unit_of_size(number: str) -> Problem:
    return _problem("size", "a size needs a unit", f"{number}B, {number}KiB, {number}MiB")


def _too_much(kind: str, text: str) -> Problem:
    return _problem(kind, f'the {kind} "{_short(text)}" is too large', "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _problem(kind: str, problem: str, hint: str) -> Problem:
    return Problem(code=kind, problem=problem, hint=hint)
