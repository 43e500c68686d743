"""What each error code means, in a sentence or three; for ``pipeflow explain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {}
