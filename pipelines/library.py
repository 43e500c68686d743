"""The source of nested.yaml: files of Python's own library."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path


def files(packages: list[str]) -> Iterator[Path]:
    """Find the files of some packages of the standard library, in their order."""
    library = Path(sysconfig.get_path("stdlib"))
    for package in packages:
        yield from sorted((library / package).rglob("*.py"))
