"""The tree that a pipeline file becomes: scalars, maps and lists, each with its place.

``reader`` makes it, ``overlay`` and ``interpolate`` remake it, ``build`` turns it into a spec.
What the keys mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from pipeflow.errors import Location
from pipeflow.spec.shared import SharedRef
from pipeflow.values import dataclass, replace

#: Files of nodes that come from the command line, and of those made from a Python mapping.
FROM_SET: Final = "<--set>"
FROM_PARAM: Final = "<--param>"
FROM_MAPPING: Final = "<mapping>"

#: Where a node lies in the tree: keys of maps and indices of lists, from the root.
TreePath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value: text, a number, true, false or null.

    Attributes:
        at: Its first character, the opening quote if it has one.
        length: How many characters it takes on its first line, quotes included; at least 1.
        value: What it means by the rules of YAML 1.2 core. From a Python mapping it may be any
            object that a file could not hold.
        text: What is written, without quotes, escapes resolved; of a number its spelling.
        quoted: It stood in quotes or in a block (``|``, ``>``), so it is text whatever it says.
        from_text: It came from the environment, ``--param`` or ``--set`` as text: where a number,
            boolean, duration or size is due it is read as a plain YAML scalar (``reread``).
        comment: The comment right behind a plain scalar, with its ``#``; empty without one.
            An expression with ``" #"`` in it was cut there.
        quantity: Seconds or bytes, if it stands for a parameter of type duration or size;
            ``value`` is the text with its unit then.
        secret: It holds the value of a secret parameter and must not be shown.
        broken: A mistake here is reported already; checks stay silent about it.
    """

    at: Location
    length: int = 1
    value: object
    text: str
    quoted: bool = False
    from_text: bool = False
    comment: str = ""
    quantity: float | int | None = None
    secret: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key of a map, with its value.

    Attributes:
        key: The key, always text.
        key_at: Where the key stands, its opening quote if it has one.
        key_length: How many characters it takes, quotes included; at least 1.
        value: What it holds.
        merged: It came in by a merge key ``<<``; its place is inside the anchored map.
    """

    key: str
    key_at: Location
    key_length: int = 1
    value: Node
    merged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A mapping; keys are text, none twice, in the order of the file.

    Attributes:
        at: Its first key, or its ``{``.
        entries: The keys with their values.
        flow: It is written in braces.
    """

    at: Location
    entries: tuple[Entry, ...]
    flow: bool = False

    @property
    def length(self) -> int:
        """How many characters to underline: those of the first key, or of the brace."""
        return 1 if self.flow or not self.entries else self.entries[0].key_length

    def entry(self, key: str) -> Entry | None:
        """The entry of a key, or ``None``."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def get(self, key: str) -> Node | None:
        """The value of a key, or ``None``; a key whose value is empty gives a null scalar."""
        found = self.entry(key)
        return None if found is None else found.value

    def keys(self) -> tuple[str, ...]:
        """The keys in the order of the file."""
        return tuple(entry.key for entry in self.entries)

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys with their values, in the order of the file."""
        return ((entry.key, entry.value) for entry in self.entries)

    def __contains__(self, key: object) -> bool:
        return any(entry.key == key for entry in self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq:
    """A list.

    Attributes:
        at: Its first ``-``, or its ``[``.
        items: What it holds.
        flow: It is written in brackets.
    """

    at: Location
    items: tuple[Node, ...]
    flow: bool = False

    @property
    def length(self) -> int:
        """How many characters to underline."""
        return 1

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


Node: TypeAlias = Scalar | Map | Seq


def plain(node: Node | None) -> object:
    """The node as dicts, lists and values, without places; ``None`` for no node."""
    match node:
        case None:
            return None
        case Scalar():
            return node.value
        case Map():
            return {entry.key: plain(entry.value) for entry in node.entries}
        case Seq():
            return [plain(item) for item in node.items]


def kind_of(node: Node) -> str:
    """What a node is, in words for people: ``a list``, ``the text "x"``, ``null``."""
    match node:
        case Map():
            return "a mapping"
        case Seq():
            return "a list"
        case Scalar():
            return _kind_of_scalar(node)


def at_path(root: Node, path: TreePath) -> Node | None:
    """The node at a path, or ``None`` where the path leads nowhere."""
    node: Node | None = root
    for step in path:
        match node, step:
            case Map(), str():
                node = node.get(step)
            case Seq(), int() if 0 <= step < len(node.items):
                node = node.items[step]
            case _:
                return None
    return node


def walk(node: Node, path: TreePath = ()) -> Iterator[tuple[TreePath, Node]]:
    """Every node below and including this one, with its path, in the order of the file."""
    yield path, node
    match node:
        case Map():
            for entry in node.entries:
                yield from walk(entry.value, (*path, entry.key))
        case Seq():
            for index, item in enumerate(node.items):
                yield from walk(item, (*path, index))
        case Scalar():
            pass


def moved(node: Node, at: Location, length: int = 1) -> Node:
    """The same value as if it stood at another place: what replaces a ``${params.x}``."""
    match node:
        case Scalar():
            return replace(node, at=at, length=length)
        case Map():
            entries = tuple(
                replace(entry, key_at=at, key_length=length, value=moved(entry.value, at, length))
                for entry in node.entries
            )
            return replace(node, at=at, entries=entries, flow=True)
        case Seq():
            return replace(node, at=at, items=tuple(moved(item, at, length) for item in node.items))


def _kind_of_scalar(scalar: Scalar) -> str:
    if scalar.secret:
        return "a secret"
    match scalar.value:
        case None:
            return "nothing" if not scalar.text else "null"
        case bool():
            return scalar.text or str(scalar.value).lower()
        case int() | float():
            return f"the number {scalar.text or scalar.value}"
        case str() as text:
            shown = text if len(text) <= 40 else text[:37] + "..."
            return f'the text "{shown}"'
        case SharedRef():
            return "shared state"
        case other:
            return f"an object of type {type(other).__name__}"
