"""What the server says of a text: the findings of ``pipeflow validate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.api import Settings, read
from pipeflow.errors import Finding

#: What only a command line or its environment decides: told, but no mistake of the file.
OUTSIDE: Final = frozenset({"missing-param", "unset-variable"})


def findings(path: str, text: str, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Everything that ``pipeflow validate`` would say if the file held this text."""
    reading = read(path, Settings(), environ, text=text)
    return [finding for finding in reading.findings if finding.at.file == path]
