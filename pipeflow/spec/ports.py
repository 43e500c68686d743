"""Names of the ports that belong to pipeflow; a stage's own ``outputs`` may not bear them."""

from __future__ import annotations

from typing import Final

OUT: Final = "out"
ERRORS: Final = "errors"
UNMATCHED: Final = "unmatched"
