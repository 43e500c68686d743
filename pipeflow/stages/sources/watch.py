"""watch: files that appear in a folder, each when it is finished."""

from __future__ import annotations

import fnmatch
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.declare import operator
from pipeflow.stages.extras import needed
from pipeflow.stages.sources.opening import where
from pipeflow.stages.sources.waiting import rest

#: Time and size of a file: another pair, another file.
Stamp = tuple[int, int]

#: So many of the files that were given are remembered, in case news of one comes late.
_REMEMBERED: Final = 10_000
#: How long to wait before the next look for news.
_LOOK_S: Final = 0.1


@operator(
    name="watch",
    role=Role.SOURCE,
    gives="Path",
    summary="New files in a folder, as `pathlib.Path`, each when it is finished.",
    details=(
        "A file is finished when it has not changed for the time `settle`; one that changes later "
        "is given again. Hidden files and unfinished ones of our own (`NAME.partial`) are left "
        "out. It goes on until Ctrl-C, which ends it at once, or until it has given `count` files. "
        "It needs watchfiles: `pip install 'pipeflow[watch]'`."
    ),
    options=(
        Option(
            name="root",
            types=(OptionType.PATH,),
            default=REQUIRED,
            description="The folder to watch.",
            examples=("inbox",),
        ),
        Option(
            name="pattern",
            types=(OptionType.STRING,),
            default="*",
            description="Which names of files: `*`, `?` and `[a-z]`.",
            examples=("*.csv",),
        ),
        Option(
            name="recursive",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Whether the folders in it are watched too.",
        ),
        Option(
            name="existing",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Give the files that are there already first, sorted.",
        ),
        Option(
            name="settle",
            types=(OptionType.DURATION,),
            default=0.5,
            description="A file that has not changed for so long is finished.",
            minimum=0,
            examples=("2s",),
        ),
        Option(
            name="count",
            types=(OptionType.INTEGER,),
            default=None,
            description="End after so many files; without it, go on.",
            unit="items",
            minimum=1,
            examples=(10,),
        ),
    ),
    single=True,
    example="""
stages:
  arrivals:
    use: watch
    with:
      root: inbox
      pattern: "*.txt"
      existing: true
      count: 2

  show:
    use: print
    inputs: arrivals
""",
    example_files={"inbox/a.txt": "one\n", "inbox/b.txt": "two\n", "inbox/c.csv": "no\n"},
)
class Watch:
    """Waits for news of the folder, and for each file to rest."""

    def __init__(
        self,
        root: Path,
        pattern: str,
        recursive: bool,
        existing: bool,
        settle: float,
        count: int | None,
    ) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r}{where(root)}")
        self._watch = needed("watchfiles", operator="watch", extra="watch").watch
        self._root, self._pattern, self._recursive = root, pattern, recursive
        self._existing, self._settle_s, self._count = existing, settle, count
        #: Files that changed: their stamp, and since when it is that one.
        self._changing: dict[Path, tuple[Stamp, float]] = {}
        self._given: OrderedDict[Path, Stamp] = OrderedDict()

    def __call__(self) -> Iterator[Path]:
        for given, path in enumerate(self._finished(), 1):
            yield path
            if given == self._count:
                return

    def _finished(self) -> Iterator[Path]:
        listed = not self._existing
        for changes in self._news():
            now = time.monotonic()
            # Only now, when nothing that comes later can be missed.
            for path in sorted(changes if listed else {*changes, *self._there()}):
                self._note(path, now)
            listed = True
            yield from self._rested(now)

    def _news(self) -> Iterator[set[Path]]:
        """What has changed; now and then nothing, since files that rest make no news.

        The library only looks what there is; the wait is ours, for a drain to end it.
        """
        root = self._root.resolve()
        changes = self._watch(
            root,
            watch_filter=None,
            step=1,
            rust_timeout=1,
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=self._recursive,
        )
        with closing(changes):
            for found in changes:
                yield {self._root / Path(path).relative_to(root) for _, path in found}
                if not rest(_LOOK_S):
                    return

    def _there(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self._root):
            if not self._recursive:
                folders.clear()
            yield from (Path(folder, name) for name in names)

    def _note(self, path: Path, now: float) -> None:
        """There is news of a file, if it is one that is wanted."""
        parts = path.relative_to(self._root).parts
        wanted = fnmatch.fnmatchcase(path.name, self._pattern)
        if not wanted or path.suffix == ".partial" or any(part.startswith(".") for part in parts):
            return
        stamp = _stamp(path)
        if stamp is not None and stamp != self._given.get(path):
            rests_s = max(0.0, time.time() - stamp[0] / 1e9)  # a file that was moved here is old
            self._changing[path] = (stamp, now - rests_s)

    def _rested(self, now: float) -> Iterator[Path]:
        """Files that have not changed for long enough, sorted."""
        for path in sorted(self._changing):
            stamp, since = self._changing[path]
            current_stamp = _stamp(path)
            if current_stamp is None:
                del self._changing[path]  # it has been taken away
            elif current_stamp != stamp:
                self._changing[path] = (current_stamp, now)
            elif now - since >= self._settle_s:
                del self._changing[path]
                self._given[path] = stamp
                if len(self._given) > _REMEMBERED:
                    self._given.popitem(last=False)
                yield path


def _stamp(path: Path) -> Stamp | None:
    """What tells one state of a file from another; ``None``: it is no file, or gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None
