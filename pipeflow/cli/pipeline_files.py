"""The pipeline files that a command line means: files as they are, folders with all below them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pipeflow.config.recognise import is_pipeline
from pipeflow.errors import UsageError

#: So much of a file is looked at.
_HEAD_BYTES: Final = 100_000


def pipeline_files(named: Iterable[str]) -> list[str]:
    """The files to look at, in the order of the command line, each once.

    Raises:
        UsageError: A folder has no pipeline file in it.
    """
    found: list[str] = []
    for name in named:
        if not Path(name).is_dir():
            found.append(name)
            continue
        inside = list(_below(name))
        if not inside:
            raise UsageError(
                f"no pipeline file in '{name}': that is a .yaml or .yml file with 'stages:' in it"
            )
        found += inside
    # As they are written first: findings name a file so.
    first: dict[str, str] = {}
    for name in found:
        first.setdefault(os.path.normpath(name), name)
    return list(first.values())


def _below(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        # What is hidden is not the user's text: .git, .venv, .pipeflow.
        folders[:] = sorted(each for each in folders if not each.startswith((".", "__")))
        for name in sorted(files):
            path = Path(parent) / name
            if path.suffix in {".yaml", ".yml"} and _is_a_pipeline(path):
                yield os.fspath(path)  # without the ./ that stands for this folder


def _is_a_pipeline(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:
        return True  # the one who reads it tells why it cannot be read
    return is_pipeline(os.fspath(path), head)
