"""Drawings of a pipeline or a plan: text for a terminal, Mermaid, and DOT for Graphviz."""

from __future__ import annotations

from pipeflow.planner.expand import alone, expand
from pipeflow.planner.graph import without_disabled
from pipeflow.planner.plan import Plan
from pipeflow.planner.traits import title, wanted_replicas
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.ports import OUT
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A stage as drawn.

    Attributes:
        name: Its name; in the order of the file.
        label: What it runs, and by how many replicas.
        source: It has no inputs.
        sink: Nobody reads it.
    """

    name: str
    label: str
    source: bool
    sink: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An edge as drawn.

    Attributes:
        source: Name of the writing stage.
        target: Name of the reading stage.
        label: The port when it is not ``out``, and the argument when it is named.
    """

    source: str
    target: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What all formats show."""

    title: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def drawing(subject: Pipeline | Plan) -> Drawing:
    """What there is to draw; disabled stages are left out."""
    match subject:
        case Plan():
            return _of_plan(subject)
        case Pipeline():
            return _of_pipeline(without_disabled(alone(expand(subject).pipeline)).pipeline)


def graph_text(subject: Pipeline | Plan) -> str:
    """Each stage with the stages that read it, for a terminal; ends with a newline."""
    picture = drawing(subject)
    lines = [picture.title]
    for node in picture.nodes:
        lines += ["", f"{node.name}  ({node.label})"]
        out = [link for link in picture.links if link.source == node.name]
        for number, link in enumerate(out):
            corner = "└" if number == len(out) - 1 else "├"
            label = f" {link.label} " if link.label else ""
            lines.append(f"  {corner}─{label}─> {link.target}")
    return "\n".join(lines) + "\n"


def graph_mermaid(subject: Pipeline | Plan) -> str:
    """A Mermaid flowchart; ends with a newline."""
    picture = drawing(subject)
    number = {node.name: f"s{index}" for index, node in enumerate(picture.nodes)}
    lines = ["flowchart LR"]
    for node in picture.nodes:
        start, end = _mermaid_shape(node)
        text = f"{_mermaid_text(node.name)}<br/>{_mermaid_text(node.label)}"
        lines.append(f'    {number[node.name]}{start}"{text}"{end}')
    for link in picture.links:
        label = f'|"{_mermaid_text(link.label)}"|' if link.label else ""
        lines.append(f"    {number[link.source]} -->{label} {number[link.target]}")
    return "\n".join(lines) + "\n"


def graph_dot(subject: Pipeline | Plan) -> str:
    """A digraph for Graphviz; ends with a newline."""
    picture = drawing(subject)
    lines = [f"digraph {_quoted(picture.title)} {{", "    rankdir=LR;", "    node [shape=box];"]
    for node in picture.nodes:
        shape = " shape=ellipse" if node.source else ""
        label = _quoted(f"{node.name}\n{node.label}")
        lines.append(f"    {_quoted(node.name)} [label={label}{shape}];")
    for link in picture.links:
        label = f" [label={_quoted(link.label)}]" if link.label else ""
        lines.append(f"    {_quoted(link.source)} -> {_quoted(link.target)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _of_pipeline(pipeline: Pipeline) -> Drawing:
    read = {edge.source.stage for stage in pipeline.stages for edge in stage.edges}
    return Drawing(
        title=pipeline.name,
        nodes=tuple(
            Node(
                name=stage.name,
                label=_label(title(stage), wanted_replicas(stage)),
                source=not stage.edges,
                sink=stage.name not in read,
            )
            for stage in pipeline.stages
        ),
        links=tuple(
            Link(
                source=edge.source.stage,
                target=stage.name,
                label=_edge_label(edge.source.port, edge.input),
            )
            for stage in pipeline.stages
            for edge in stage.edges
        ),
    )


def _of_plan(plan: Plan) -> Drawing:
    return Drawing(
        title=plan.pipeline,
        nodes=tuple(
            Node(
                name=stage.name,
                label=_label(stage.work, stage.replicas),
                source=not stage.edges_in,
                sink=not stage.edges_out,
            )
            for stage in plan.stages
        ),
        links=tuple(
            Link(
                source=plan.stages[edge.source].name,
                target=plan.stages[edge.target].name,
                label=_edge_label(edge.port, edge.input),
            )
            for edge in plan.edges
        ),
    )


def _label(work: str, replicas: int | None) -> str:
    """``None`` is ``auto``: a plan knows the number, a pipeline does not."""
    match replicas:
        case None:
            return f"{work}, replicas: auto"
        case 1:
            return work
        case _:
            return f"{work}, {replicas} replicas"


def _edge_label(port: str, argument: str) -> str:
    named = f"as {argument}" if argument else ""
    return f"{port} {named}".strip() if port != OUT else named


def _mermaid_shape(node: Node) -> tuple[str, str]:
    if node.source:
        return "([", "])"
    return ("[[", "]]") if node.sink else ("[", "]")


def _mermaid_text(text: str) -> str:
    """Entities for what would end the text or begin a tag."""
    marks = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"}
    return "".join(marks.get(sign, sign) for sign in text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
