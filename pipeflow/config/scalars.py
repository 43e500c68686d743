"""What a plain YAML scalar means: the core schema of YAML 1.2, and what we refuse of it.

``no``, ``on``, ``22:22`` and dates are text. Reading never fails with an exception.
"""

from __future__ import annotations

import math
import re
from typing import Final

from pipeflow.config.nodes import Scalar
from pipeflow.config.problem import Problem
from pipeflow.values import replace

#: Most digits of a whole number: all of 64 bits fit.
MAX_DIGITS: Final = 19

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
#: What other versions of YAML take for a truth value, and how it is written here.
TRUTHS: Final = {
    "yes": "true",
    "on": "true",
    "y": "true",
    "no": "false",
    "off": "false",
    "n": "false",
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"([-+]?\.(inf|Inf|INF))|(\.(nan|NaN|NAN))")

#: What a scalar can mean.
Value = str | int | float | bool | None


def resolve(text: str) -> Value | Problem:
    """The meaning of a plain scalar, or what is wrong with it as a number."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    # Most values are words: one look at the first letter spares them the regular expressions.
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _BASED.fullmatch(text):
        return _based(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if special := _SPECIAL.fullmatch(text):
        return math.nan if special[3] else math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return text


def reread(scalar: Scalar) -> Scalar | Problem:
    """A scalar that came as text, read as a plain YAML scalar: for where a number is due.

    Scalars that the file itself holds come back as they are.
    """
    if not scalar.from_text or not isinstance(scalar.value, str):
        return scalar
    value = resolve(scalar.text.strip())
    return value if isinstance(value, Problem) else replace(scalar, value=value)


def spelled(value: object) -> str:
    """A value as YAML would spell it in plain text: ``true``, ``null``, ``1.5``, ``.inf``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if math.isnan(value):
            return ".nan"
        case float() if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        case _:
            return str(value)


def _integer(text: str) -> int | Problem:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0":
        return _leading_zero(text, digits)
    if len(digits) > MAX_DIGITS:
        return _too_many_digits(len(digits))
    return int(text)


def _leading_zero(text: str, digits: str) -> Problem:
    octal_digits = digits.lstrip("0")
    sign = "-" if text[0] == "-" else ""
    if octal_digits and len(octal_digits) <= MAX_DIGITS and not set(digits) & {"8", "9"}:
        octal = f"{sign}{int(octal_digits, 8)}"
        problem = f'leading zero: octal {octal}, or the text "{text}"?'
        # YAML 1.2 has no signed octal numbers, so a negative one is shown in tens.
        hint = f'{octal if sign else "0o" + octal_digits} or "{text}"'
    else:
        shown = text if len(text) <= MAX_DIGITS + 2 else text[:MAX_DIGITS] + "..."
        number = f"{sign}{octal_digits or '0'}"[: MAX_DIGITS + 1]
        problem = f'leading zero: the number {number}, or the text "{shown}"?'
        hint = f'{number} or "{shown}"'
    return Problem(code="leading-zero", problem=problem, hint=hint)


def _based(text: str) -> int | Problem:
    value = int(text[2:], 8 if text[1] == "o" else 16) if len(text) <= 2 + 64 else None
    if value is None or value >= 2**64:
        return Problem(
            code="number-too-long",
            problem=f"number with {len(text) - 2} digits; at most 64 bits here",
            hint="write it in quotes if it is text",
        )
    return value


def _float(text: str) -> float | Problem:
    value = float(text)
    if math.isinf(value):
        return Problem(
            code="number-too-large",
            problem="the number is too large: it would become infinite",
            hint="write .inf if that is meant, or quote it if it is text",
        )
    return value


def _too_many_digits(count: int) -> Problem:
    return Problem(
        code="number-too-long",
        problem=f"number with {count} digits; at most {MAX_DIGITS} here",
        hint="write it in quotes if it is text",
    )
