"""What the programs of polyglot.yaml do not do themselves."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path


def library() -> Iterator[bytes]:
    """The modules of Python's standard library that are no packages, as they are on disk."""
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield file.read_bytes()


def lines(output: bytes) -> Iterator[str]:
    """The lines that a program has written for one item, without empty ones."""
    yield from filter(None, output.decode().splitlines())
