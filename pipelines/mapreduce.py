"""The stages of mapreduce.yaml: the texts of this machine's Python, and the words in each."""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TypedDict

WORD: Final = re.compile(r"[^\W\d_]+")
SUFFIXES: Final = (".py", ".txt")


class Tally(TypedDict):
    """How often a word stands in a text."""

    word: str
    times: int


def texts(files: int) -> Iterator[Path]:
    """Find the texts that came with Python, the first so many; 0 stands for all."""
    found = sorted(Path(sysconfig.get_path("stdlib")).rglob("*"))
    readable = (file for file in found if file.suffix in SUFFIXES and file.is_file())
    yield from islice(readable, files or None)


def tally(file: Path) -> Iterator[Tally]:
    """Count the words in one text, so that each word of it travels but once."""
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    for word, times in Counter(WORD.findall(text.lower())).items():
        yield Tally(word=word, times=times)
