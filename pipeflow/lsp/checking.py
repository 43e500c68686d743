"""What the server says of a text: the findings of ``pipeflow validate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.api import Settings, read
from pipeflow.errors import Finding
from pipeflow.values import replace

#: What only a command line or its environment decides: told, but no mistake of the file.
OUTSIDE: Final = frozenset({"missing-param", "unset-variable"})


def findings(path: str, text: str, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Everything that ``pipeflow validate`` would say if the file held this text."""
    reading = read(path, Settings(), environ, text=text)
    told = (_in_file(finding, path) for finding in reading.findings)
    return [finding for finding in told if finding is not None]


def _in_file(finding: Finding, path: str) -> Finding | None:
    """The finding as this file has it: one of an inner file stands where that file is named."""
    if finding.at.file == path:
        return finding
    at = next((each for each in finding.at.includes() if each.file == path), None)
    if at is None:
        return None
    return replace(finding, at=at, problem=f"{finding.at}: {finding.problem}")
