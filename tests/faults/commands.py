"""``pipeflow run`` as people start it, for the tests of faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PIPEFLOW = (sys.executable, "-m", "pipeflow")
#: Nothing here takes a second on an idle machine; this is for a busy one.
DEADLINE_S = 40.0


def write(
    folder: Path, stages: Mapping[str, Any], modules: Mapping[str, str] | None = None
) -> Path:
    """A pipeline file, and the modules beside it."""
    for name, text in (modules or {}).items():
        (folder / f"{name}.py").write_text(text)
    file = folder / "pipeline.yaml"
    file.write_text(json.dumps({"stages": stages}))
    return file


def pipeflow(
    *arguments: str | Path,
    before: Sequence[str] = (),
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    Args:
        arguments: What follows ``pipeflow``.
        before: Program that runs it: ``prlimit``, ``unshare``.
        folder: Where it is started.
        environ: Variables on top of ours.
    """
    return subprocess.run(
        [*before, *PIPEFLOW, *(str(each) for each in arguments)],
        cwd=folder,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
