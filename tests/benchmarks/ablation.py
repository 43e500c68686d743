"""pipeflow with its counters taken out: ``python -m tests.benchmarks.ablation LESS ARGUMENTS``.

What counting costs cannot be told from outside, and nobody should be able to switch it off. So the
modules of the item loop are compiled here without the statements that store a count, a time or a
state, and with ``LESS`` so chosen also without those that store the item in hand; what is written
in C has these marked (``COUNT``, ``NOTE_HAND``), and is compiled anew too. Everything else stays as
it is; the credit of the edges too, for that is no statistic.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Final

from pipeflow.runtime import board


class Less(enum.Enum):
    """What is taken out."""

    NOTHING = "nothing"  #: the modules are compiled the same way, whole
    COUNTERS = "counters"
    HAND_TOO = "hand-too"  #: nor is it noted which item is in hand, for when the worker is killed


#: Where items pass; packages with all that is in them.
PLACES: Final = (
    "pipeflow.runtime.flow.",
    "pipeflow.runtime.loops.",
    "pipeflow.runtime.process",
    "pipeflow.runtime.waits",
    "pipeflow.runtime.host",
    "pipeflow.runtime.board",
    "pipeflow.transports.counters",
)
#: Cells of the board by the names of the constants that say where they are.
#: The most that was in flight, and what was emitted on a port, have others.
_CELLS: Final = frozenset(
    {name for name in vars(board) if name.isupper() and not name.endswith(("_WORDS", "_MAX"))}
    - {"DRAIN", "IN_EDGE", "IN_WIDTH"}  # no counts
    | {"PEAK", "_cell", "_cells"}
)
#: Functions that do nothing but store such cells.
_COUNTING: Final = frozenset({"note_edge", "end_row"})
#: Where a node has statements, if any.
_BLOCKS: Final = ("body", "orelse", "finalbody")
#: What the code calls a row of the board.
_ROWS: Final = frozenset({"row", "_row"})
#: Cells of the item in hand; the one for the last part of its id is looked up beforehand.
_HAND: Final = frozenset({"HAND", "HAND_DEPTH", "last"})


class Uncounted(ast.NodeTransformer):
    """Takes stores to cells of the board out of a module.

    Args:
        less: Which.

    Attributes:
        dropped: Names that the dropped statements were known by, as often as they came.
    """

    def __init__(self, less: Less) -> None:
        self._less = less
        self.dropped: list[str] = []

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | None:
        match node.targets, node.value:
            case [ast.Tuple(elts=places)], ast.Tuple(elts=values):
                return self._without_counts(node, places, values)
            case _:
                pass
        kept = [target for target in node.targets if not self._is_count(target)]
        if not kept:
            return None
        node.targets = kept
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | None:
        return None if self._is_count(node.target) else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        match node.value:
            case ast.Call(ast.Name(name)) if name in _COUNTING and self._less is not Less.NOTHING:
                return None
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        blocks = [block for name in _BLOCKS if (block := getattr(node, name, None))]
        super().generic_visit(node)
        for block in blocks:
            if not block:  # all that was in it counted
                block.append(ast.Pass())
        return node

    def _without_counts(
        self, node: ast.Assign, places: list[ast.expr], values: list[ast.expr]
    ) -> ast.stmt | None:
        """Several stores in one statement, of which some may stay."""
        pairs = zip(places, values, strict=True)
        kept = [(place, value) for place, value in pairs if not self._is_count(place)]
        if len(kept) == len(places):
            return node
        if len(kept) == 1:
            node.targets, node.value = [kept[0][0]], kept[0][1]
            return node
        node.targets = [ast.Tuple([place for place, _ in kept], ast.Store())]
        node.value = ast.Tuple([value for _, value in kept], ast.Load())
        return node if kept else None

    def _is_count(self, target: ast.expr) -> bool:
        if not isinstance(target, ast.Subscript):
            return False
        names = _names(target.slice)
        if not names & _CELLS and _last_name(target.value) not in _ROWS:
            return False
        if self._less is Less.NOTHING or (self._less is Less.COUNTERS and names & _HAND):
            return False
        self.dropped += names
        return True


def _names(node: ast.expr) -> set[str]:
    return {_last_name(each) for each in ast.walk(node) if isinstance(each, ast.expr)} - {""}


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module anew, without what is to go."""

    def __init__(self, name: str, path: str, less: Less) -> None:
        super().__init__(name, path)
        self._less = less

    def get_code(self, fullname: str) -> object:  # type: ignore[override]  # code has no type
        tree = ast.fix_missing_locations(
            Uncounted(self._less).visit(ast.parse(self.get_data(self.path)))
        )
        return compile(tree, self.path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the item loop before anybody else does.

    Args:
        less: What they lose.
        folder: Takes what is compiled from C.
    """

    def __init__(self, less: Less, folder: Path) -> None:
        self._less, self._folder = less, folder

    def _compile(self, sources: Path) -> Path:
        """The compiled loops, without what they are to lose."""
        from setuptools import Distribution, Extension

        without = [*Less].index(self._less)
        module = Extension(
            "_compiled", [str(sources / "_compiled.c")], define_macros=[("WITHOUT", str(without))]
        )
        command = Distribution({"ext_modules": [module]}).get_command_obj("build_ext")
        command.ensure_finalized()
        command.build_lib = command.build_temp = str(self._folder)
        with contextlib.redirect_stdout(None):
            command.run()
        return Path(command.get_ext_fullpath("_compiled"))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(PLACES):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        if isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
            made = self._compile(Path(spec.origin).parent)
            return importlib.util.spec_from_file_location(fullname, made)
        if not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        spec.loader = _Loader(fullname, spec.origin, self._less)
        return spec


def forget(modules: Iterable[str]) -> None:
    """Let modules be imported anew."""
    for name in modules:
        del sys.modules[name]


def main(less: str, *arguments: str) -> int:
    """Be ``pipeflow``; workers are forked from here, so that they have the same modules."""
    forget([name for name in sys.modules if name.startswith("pipeflow")])
    with TemporaryDirectory() as folder:
        sys.meta_path.insert(0, Finder(Less(less), Path(folder)))
        from pipeflow.cli.main import main as run_command
        from pipeflow.cli.world import World

        return run_command([*arguments, "--start-method=fork"], World())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
