"""files: the files below a folder, as paths."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator, refused
from pipeflow.stages.sources.opening import where
from pipeflow.stages.work import BadRecord

#: So many paths are listed ahead, to know how many there will be. More are walked as they are
#: asked for: memory does not grow with the tree.
LISTED_AHEAD: Final = 100_000

#: A part of a pattern: ``None`` stands for ``**``, any number of folders.
Part = Callable[[str], object] | None


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """Each pattern stays below the root."""
    given_one = given.get("pattern")
    patterns = given_one if isinstance(given_one, list) else [given_one]
    return [
        each
        for pattern in patterns
        if isinstance(pattern, str)
        for each in refused("pattern", partial(_parts, pattern), "as 'docs/**/*.md', below root")
    ]


@operator(
    name="files",
    role=Role.SOURCE,
    gives="Path",
    summary="The files below a folder, as `pathlib.Path`, sorted.",
    details=(
        "Each path begins with `root`. The order is that of the names, folder by folder, and "
        "always the same. Links to files are followed, links to folders are not. A folder that "
        "cannot be read is a bad record."
    ),
    options=(
        Option(
            name="root",
            types=(OptionType.PATH,),
            default=REQUIRED,
            description="The folder to look in.",
            examples=("photos",),
        ),
        Option(
            name="pattern",
            types=(OptionType.STRING, OptionType.LIST),
            default="**/*",
            description=(
                "Which files, relative to `root`: `*`, `?` and `[a-z]` within a name, `**` for any "
                "number of folders. With a list, files that any of them matches."
            ),
            examples=("**/*.jpg", "*.csv"),
        ),
        Option(
            name="hidden",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Whether files and folders whose name begins with a dot count too.",
        ),
    ),
    single=True,
    judge=_judge,
    example="""
stages:
  find:
    use: files
    with:
      root: notes
      pattern: "**/*.txt"

  show:
    use: print
    inputs: find
""",
    example_files={"notes/monday.txt": "one\n", "notes/old/sunday.txt": "two\n"},
)
class Files:
    """Walks the tree; ``total`` is known once the listing is whole."""

    def __init__(self, root: Path, pattern: str | list[str], hidden: bool) -> None:
        self._root = root
        self._hidden = hidden
        patterns = [pattern] if isinstance(pattern, str) else pattern
        self._patterns = [_parts(each) for each in patterns]
        self._total: int | None = None

    def __call__(self) -> Iterable[Path | BadRecord]:
        if not self._root.exists():
            raise FileNotFoundError(f"no folder {str(self._root)!r}{where(self._root)}")
        if not self._root.is_dir():
            raise NotADirectoryError(f"{str(self._root)!r} is a file; files looks in a folder")
        start = [(number, 0) for number in range(len(self._patterns))]
        found = self._walk(self._root, self._reach(start))
        ahead = list(islice(found, LISTED_AHEAD))
        if len(ahead) < LISTED_AHEAD:
            self._total = len(ahead)
        return chain(ahead, found)

    def total(self) -> int | None:
        """How many items there will be, or ``None`` when there are very many."""
        return self._total

    def _walk(self, folder: Path, states: frozenset[tuple[int, int]]) -> Iterator[Path | BadRecord]:
        """The files in a folder and below.

        Args:
            folder: Where to look.
            states: How far into each pattern the path to the folder has come. A folder that no
                pattern can go on from is never opened.
        """
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield BadRecord(str(folder), error)
            return
        for entry in entries:
            after = self._step(states, entry.name)
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                if after:
                    yield from self._walk(path, after)
            elif any(self._is_end(state) for state in after) and entry.is_file():
                yield path

    def _step(self, states: frozenset[tuple[int, int]], name: str) -> frozenset[tuple[int, int]]:
        """How far the patterns come with one more name on the path."""
        after: list[tuple[int, int]] = []
        hidden = name.startswith(".") and not self._hidden
        for pattern, at in states:
            parts = self._patterns[pattern]
            if at == len(parts):
                continue
            part = parts[at]
            if part is None:
                if not hidden:
                    after.append((pattern, at))
            elif part(name) and (not hidden or _names_dot(part)):
                after.append((pattern, at + 1))
        return self._reach(after)

    def _reach(self, states: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """The states and those behind a ``**``, which may stand for no folder at all."""
        reached = set()
        for pattern, at in states:
            reached.add((pattern, at))
            parts = self._patterns[pattern]
            position = at
            while position < len(parts) and parts[position] is None:
                position += 1
                reached.add((pattern, position))
        return frozenset(reached)

    def _is_end(self, state: tuple[int, int]) -> bool:
        pattern, at = state
        return at == len(self._patterns[pattern])


class _Name:
    """Matches one name of a path, capitals told apart on every system."""

    def __init__(self, text: str) -> None:
        self._match = re.compile(fnmatch.translate(text)).match
        self.dot = text.startswith(".")

    def __call__(self, name: str) -> object:
        return self._match(name)


def _names_dot(part: Part) -> bool:
    """Whether the pattern itself says the dot, as ``.github/*`` does, and so means hidden files."""
    return isinstance(part, _Name) and part.dot


def _parts(pattern: str) -> tuple[Part, ...]:
    if pattern.startswith("/"):
        raise ValueError(f"parameter 'pattern' is relative to root, so {pattern!r} cannot match")
    names = [name for name in pattern.split("/") if name not in {"", "."}]
    if ".." in names:
        raise ValueError(f"parameter 'pattern': {pattern!r} leaves root by '..'")
    if not names or names[-1] == "**":
        names.append("*")  # "docs/**" means every file below docs
    return tuple(None if name == "**" else _Name(name) for name in names)
