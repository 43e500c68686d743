"""Durations as people write them, in files and for parameters of the user's code: ``1h30m``."""

from __future__ import annotations

import math
import re
from typing import Final

#: Seconds in each unit.
DURATION_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
#: Compiled when the first one is read: many files have none.
_PART: Final = r"([0-9]+(?:\.[0-9]*)?)(ns|us|ms|s|m|h|d)"
_WHOLE: Final = rf"(?:{_PART})+"


def seconds(text: str) -> float | None:
    """Seconds in ``50ms``, ``2s``, ``5m``, ``1h`` or ``1h30m``; ``None`` when it is no duration."""
    text = text.strip()
    if not re.fullmatch(_WHOLE, text):
        return None
    parts = re.findall(_PART, text)
    return math.fsum(float(number) * DURATION_UNITS[unit] for number, unit in parts)
