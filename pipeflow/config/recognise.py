"""Whether a YAML text is a pipeline: other tools keep theirs in the same folders."""

from __future__ import annotations

import os
import re
from typing import Final

#: Names that mean it, whatever is in the file.
_NAMES: Final = re.compile(r"(?:.*\.)?pipeflow\.ya?ml")

_STAGES: Final = re.compile(r"^\"?stages\"?\s*:|^\s*\{?\s*\"stages\"\s*:", re.MULTILINE)
_MODELINE: Final = re.compile(
    r"^# yaml-language-server: \$schema=\S*(?:pipeline\.schema\.json|\.pipeflow/)", re.MULTILINE
)


def is_pipeline(path: str, text: str) -> bool:
    """Whether it has stages, says whose file it is, or has a name that does."""
    name = os.path.basename(path)  # noqa: PTH119 - of a text that may lie nowhere
    if _NAMES.fullmatch(name):
        return True
    return _STAGES.search(text) is not None or _MODELINE.search(text) is not None
