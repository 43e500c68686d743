"""From ``inputs`` to edges: one text, a list, or named ports; each in its short or long form."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Map, Node, Scalar, Seq
from pipeflow.spec.language import EDGE, STAGE
from pipeflow.spec.options import Option
from pipeflow.spec.pipeline import Edge, PortRef
from pipeflow.spec.policies import ArrayMode, Capacity, Overflow, TransportKind
from pipeflow.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Inputs:
    """What ``inputs`` says.

    Attributes:
        edges: In the order of the file.
        named: They are a mapping from argument to edge.
        whole: Every edge of the file is among them; ``False`` if some were too wrong to be made.
    """

    edges: tuple[Edge, ...] = ()
    named: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """What an edge says of itself, or what ``defaults`` says of all."""

    transport: TransportKind = TransportKind.AUTO
    capacity: Capacity = field(default_factory=Capacity)
    overflow: Overflow = Overflow.BLOCK
    arrays: ArrayMode = ArrayMode.SHARED


def edge_settings(cursor: Cursor | None, default: EdgeSettings) -> EdgeSettings:
    """Read the settings of an edge; what it does not say is taken from ``default``."""
    if cursor is None:
        return default
    return EdgeSettings(
        transport=TransportKind(cursor.text("transport") or default.transport.value),
        capacity=_capacity(cursor, default.capacity),
        overflow=Overflow(cursor.text("overflow") or default.overflow.value),
        arrays=ArrayMode(cursor.text("arrays") or default.arrays.value),
    )


def read_inputs(stage: Cursor, default: EdgeSettings) -> Inputs:
    """Read ``inputs`` of a stage; no inputs give no edges."""
    node = stage.get("inputs")
    if node is None:
        return Inputs(whole=not stage.unread("inputs", STAGE))
    named = isinstance(node, Map) and not is_edge(node)
    made: list[Edge | None]
    match node:
        case Seq():
            made = [
                None
                if (*stage.path, "inputs", index) in stage.wrong
                else _edge(stage, item, default, "inputs", index)
                for index, item in enumerate(node.items)
            ]
        case Map() if named:
            ports = stage.at(node, "inputs")
            made = [
                _named(_edge(ports, entry.value, default, entry.key), entry.key)
                for entry in ports.entries()
            ]
            made += [None] * (len(node) - len(made))
        case _:
            made = [_edge(stage, node, default, "inputs")]
    edges = tuple(edge for edge in made if edge is not None)
    return Inputs(edges, named, whole=len(edges) == len(made))


def is_edge(node: Map) -> bool:
    """Whether a mapping under ``inputs`` is one edge in its long form, and no named ports.

    ``from`` cannot name an argument, and neither can a number be a port: so ``{form: a,
    capacity: 8}`` is an edge with a slip in it. So is ``{form: a, overflow: block}``: an argument
    of that name that reads a stage called ``block`` is less likely by far. The schema draws the
    same line.
    """
    if "from" in node:
        return True
    match node.get("capacity"):
        case Scalar(value=int() | float()):
            return True
        case Map() as capacity if "items" in capacity or "bytes" in capacity:
            return True
        case _:
            return any(_is_choice(node.get(option.name), option) for option in EDGE.options)


def _is_choice(node: Node | None, option: Option) -> bool:
    return isinstance(node, Scalar) and node.value in option.choices


def _edge(parent: Cursor, node: Node, default: EdgeSettings, *steps: str | int) -> Edge | None:
    settings = default
    source: Node | None = node
    if isinstance(node, Map):
        cursor = parent.at(node, *steps)
        settings = edge_settings(cursor, default)
        source = cursor.get("from")
    if not isinstance(source, Scalar) or not isinstance(source.value, str):
        return None
    name, _, port = source.value.partition(".")
    return Edge(
        source=PortRef(name, port) if port else PortRef(name),
        at=source.at,
        transport=settings.transport,
        capacity=settings.capacity,
        overflow=settings.overflow,
        arrays=settings.arrays,
    )


def _named(edge: Edge | None, argument: str) -> Edge | None:
    return None if edge is None else replace(edge, input=argument)


def _capacity(cursor: Cursor, default: Capacity) -> Capacity:
    inner = cursor.inner("capacity")
    if inner is not None:
        items, size = inner.integer("items"), inner.size("bytes")
    else:
        items, size = cursor.integer("capacity"), None
    return Capacity(
        items=default.items if items is None else items,
        bytes=default.bytes if size is None else size,
    )
