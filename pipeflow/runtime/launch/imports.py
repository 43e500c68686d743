"""Which installed packages the user's own modules import: read from source, nothing is run.

Followed are the imports at the top level of the called module and of those that it imports, in
their order, as Python would run them. Only a package that lies in ``site-packages`` or in the
standard library is named; the modules beside the pipeline file are read, and never named.
"""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Final

from pipeflow.values import dataclass, field

#: A module and the names that are taken from it, as ``from module import names`` has them.
Import = tuple[str, tuple[str, ...]]

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD: Final = Path(os.__file__).parent

#: A stage of more modules than these is not looked through: it shares nothing.
_MOST_MODULES: Final = 100

#: Modules that act, or take hold of the terminal, when they are imported; and our own, which every
#: worker has. Like them those are passed over that are part of the interpreter, as ``sys`` and
#: ``time`` are: they cost nothing, and lie in no file.
_LEFT_ALONE: Final = frozenset(
    {"__main__", "antigravity", "curses", "idlelib", "readline", "rlcompleter", "test", "this"}
    | {"tkinter", "turtle", "turtledemo", "faulthandler", "pipeflow"}
)

#: Who reads one of these may change a variable before a package reads it.
_CHANGES_ENVIRONMENT: Final = frozenset({"putenv", "unsetenv", "load_dotenv", "setdlopenflags"})
_CHANGING_METHODS: Final = frozenset({"update", "setdefault", "pop", "clear", "popitem"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageImports:
    """What the module of a stage imports.

    Attributes:
        packages: Of installed packages, in order.
        standard: Of the standard library, in order.
        settled: Whether nothing happens before or between them that might change what they do;
            only then may another process have imported them before.
    """

    packages: tuple[Import, ...] = ()
    standard: tuple[Import, ...] = ()
    settled: bool = True


def stage_imports(module: str, folder: str, search_path: Sequence[str]) -> StageImports:
    """What the module that a stage calls imports at its top level, and what that does in turn.

    Args:
        module: Dotted name.
        folder: Of the pipeline file: looked at first.
        search_path: Looked at behind it.
    """
    reading = _Reading([folder, *search_path], own=module.partition(".")[0])
    reading.follow(module)
    return StageImports(
        packages=tuple(reading.packages),
        standard=tuple(reading.standard),
        settled=reading.settled,
    )


class ImportsOf:
    """What the modules of one pipeline import; each is read once, however many stages call it.

    Args:
        folder: Of the pipeline file.
        search_path: Looked at behind it.
    """

    def __init__(self, folder: str, search_path: Sequence[str]) -> None:
        self.folder = folder
        self._search_path = search_path
        self._known: dict[tuple[str, str], StageImports] = {}

    def __call__(self, module: str, folder: str = "") -> StageImports:
        """See ``stage_imports``; the folder is that of the pipeline file, if none is given."""
        place = folder or self.folder
        if (module, place) not in self._known:
            self._known[module, place] = stage_imports(module, place, self._search_path)
        return self._known[module, place]


@dataclass(slots=True)
class _Reading:
    """One stage's modules, read in the order in which they would run."""

    path: list[str]
    own: str  #: never imported for others, wherever it lies: its top level may connect or open
    packages: dict[Import, None] = field(default_factory=dict)
    standard: dict[Import, None] = field(default_factory=dict)
    settled: bool = True
    acted: bool = False  #: a statement has run that may have changed what later imports do
    seen: set[str] = field(default_factory=set)

    def follow(self, module: str, names: tuple[str, ...] = ()) -> None:
        """Note an import of an installed package, or read a module of the user's."""
        first = module.partition(".")[0]
        if first in _LEFT_ALONE or first in sys.builtin_module_names:
            return
        found = _find(first, self.path)
        if found is None:
            # Found by a hook, or not at all: what it does is not known.
            self.settled, self.acted = self.settled and first != self.own, True
            return
        installed = _installed_in(found)
        if not installed or first == self.own:
            self._read_all(module, names, found)
        elif installed == "standard":
            # It may be loaded long since: workers have always shared what pipeflow itself imports.
            self.standard[module, names] = None
        else:
            self.settled = self.settled and not self.acted
            self.packages[module, names] = None

    def _read_all(self, module: str, names: tuple[str, ...], found: ModuleSpec) -> None:
        """Read the packages on the way to a module, the module, and modules among the names."""
        spec: ModuleSpec | None = found
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if depth > 1:
                spec = _find(name, _inside(spec)) if spec is not None else None
            self._read(name, spec)
        for each in names:
            inner = _find(f"{module}.{each}", _inside(spec)) if spec is not None else None
            if inner is not None:
                self._read(f"{module}.{each}", inner)

    def _read(self, name: str, spec: ModuleSpec | None) -> None:
        if name in self.seen:
            return
        self.seen.add(name)
        tree = _parsed(spec) if len(self.seen) <= _MOST_MODULES else None
        if spec is None or tree is None:
            if spec is None or spec.origin is not None:  # a namespace has nothing that could run
                self.settled, self.acted = False, True
            return
        if _changes_environment(tree):
            self.settled = False
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        self._run(tree.body, package)

    def _run(self, body: Sequence[ast.stmt], package: str) -> None:
        for statement in body:
            match statement:
                case ast.Import(names=aliases):
                    for alias in aliases:
                        self.follow(alias.name)
                case ast.ImportFrom(module="__future__"):
                    pass
                case ast.ImportFrom():
                    module = _absolute(statement, package)
                    if module:
                        self.follow(module, tuple(alias.name for alias in statement.names))
                case ast.Try(body=tried):
                    # The rest of it is for when an import fails: then a worker finds out.
                    self._run(tried, package)
                case _ if not _is_quiet(statement):
                    self.acted = True
                case _:
                    pass


def _is_quiet(statement: ast.stmt) -> bool:
    """Whether a statement surely leaves alone what imports after it depend on.

    What is called for its effect stands alone, as ``matplotlib.use("Agg")`` does.
    """
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=targets):
            return all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
        case ast.AnnAssign(target=ast.Name()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return not statement.orelse
        case _:
            return False


def _changes_environment(tree: ast.Module) -> bool:
    """Whether a module, at any place, may change the variables that packages read."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()) if _is_environ(value):
                return True
            case ast.Attribute(value=value, attr=attr) if attr in _CHANGING_METHODS and _is_environ(
                value
            ):
                return True
            case ast.AugAssign(target=target) if _is_environ(target):
                return True
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in _CHANGES_ENVIRONMENT:
                return True
            case _:
                pass
    return False


def _is_environ(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="environ" | "environb") | ast.Name(id="environ" | "environb"):
            return True
        case _:
            return False


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The dotted name of the module that is imported from; empty: there is none."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return ""
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def _find(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """Where Python would find a module in these folders; nothing is imported."""
    return PathFinder.find_spec(name, list(path))


def _inside(spec: ModuleSpec) -> list[str]:
    return list(spec.submodule_search_locations or ())


def _installed_in(spec: ModuleSpec) -> str:
    """``package``, ``standard``, or empty for a module of the user's own."""
    places = [spec.origin] if spec.origin else _inside(spec)
    for place in map(Path, places):
        if _INSTALLED & {*place.parts}:
            # A namespace is shared by several distributions: nobody's own code would run.
            return "package"
        if place.is_relative_to(_STANDARD):
            return "standard"
    return ""


def _parsed(spec: ModuleSpec | None) -> ast.Module | None:
    if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are shown when the worker compiles it
            return ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the worker that imports it will say what is wrong


def modules_beside(folder: str) -> Iterator[str]:
    """Names that a module of an installed package may not take: those beside the pipeline file."""
    try:
        entries = list(Path(folder).iterdir())
    except OSError:
        return  # a folder that is not there has none
    for entry in entries:
        if entry.suffix in {".py", ".so", ".pyc"} or (entry / "__init__.py").exists():
            yield entry.name.partition(".")[0]
