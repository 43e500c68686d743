"""The graph: stages as nodes, edges from writers to readers, disabled stages taken out.

The functions here expect edges that name stages there are; ``references`` sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipeflow.planner.graphs import nx
from pipeflow.spec.pipeline import Edge, Pipeline, PortRef, Stage
from pipeflow.spec.ports import OUT
from pipeflow.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reader:
    """One edge, seen from the port that it reads.

    Attributes:
        stage: Name of the reading stage.
        edge: Its input.
    """

    stage: str
    edge: Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A pipeline as a graph.

    Attributes:
        pipeline: What the graph was made of; every edge names a stage in it.
        stages: Name to stage, in the order of the file.
        graph: Names of the stages, from writer to reader; several edges between two are one here.
        readers: Port to the edges that read it, in the order of the file.
    """

    pipeline: Pipeline
    stages: Mapping[str, Stage]
    graph: nx.DiGraph[str]
    readers: Mapping[PortRef, tuple[Reader, ...]]

    def writers(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that it reads, one for each of its edges."""
        return tuple(self.stages[edge.source.stage] for edge in stage.edges)


def network(pipeline: Pipeline) -> Network:
    """Join the ports of a pipeline to a graph."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(stage.name for stage in pipeline.stages)
    readers: dict[PortRef, tuple[Reader, ...]] = {}
    for stage in pipeline.stages:
        for edge in stage.edges:
            graph.add_edge(edge.source.stage, stage.name)
            readers[edge.source] = (*readers.get(edge.source, ()), Reader(stage.name, edge))
    return Network(
        pipeline=pipeline,
        stages=MappingProxyType({stage.name: stage for stage in pipeline.stages}),
        graph=graph,
        readers=MappingProxyType(readers),
    )


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A pipeline without its disabled stages.

    Attributes:
        pipeline: What is left; all of it is enabled.
        notes: A sentence for each stage that was taken out.
    """

    pipeline: Pipeline
    notes: tuple[str, ...]


def without_disabled(pipeline: Pipeline) -> Trimmed:
    """Take out what ``enabled: false`` takes out.

    With one input and only ``out`` read, a stage's readers read its input instead. Otherwise it is
    cut, with all that then has no input; a join that loses one of its named inputs has no call to
    make any more, so it is cut too.
    """
    stages = {stage.name: stage for stage in pipeline.stages}
    notes: list[str] = []
    for stage in pipeline.stages:
        if stage.enabled or stage.name not in stages:
            continue
        # Looked up again: an earlier bypass may have given it another input.
        current = stages.pop(stage.name)
        if _can_be_bypassed(current, stages):
            source = current.edges[0].source
            notes.append(f"stage '{stage.name}' is disabled: its readers read '{source}' instead")
            _redirect(stages, PortRef(stage.name), source)
        else:
            notes.append(f"stage '{stage.name}' is disabled: it is cut")
            notes.extend(_cut(stages, stage.name))
    return Trimmed(replace(pipeline, stages=tuple(stages.values())), tuple(notes))


def _can_be_bypassed(stage: Stage, others: Mapping[str, Stage]) -> bool:
    ports = {
        edge.source.port
        for other in others.values()
        for edge in other.edges
        if edge.source.stage == stage.name
    }
    return len(stage.edges) == 1 and ports == {OUT}


def _redirect(stages: dict[str, Stage], old: PortRef, new: PortRef) -> None:
    for name, stage in stages.items():
        if any(edge.source == old for edge in stage.edges):
            edges = tuple(
                replace(edge, source=new) if edge.source == old else edge for edge in stage.edges
            )
            stages[name] = replace(stage, edges=edges)


def _cut(stages: dict[str, Stage], gone: str) -> list[str]:
    """Remove the edges that read a stage that is gone, and the stages that end with them."""
    notes: list[str] = []
    waiting = [gone]
    while waiting:
        lost = waiting.pop(0)
        for name, stage in list(stages.items()):
            left = tuple(edge for edge in stage.edges if edge.source.stage != lost)
            if len(left) == len(stage.edges):
                continue
            if left and not stage.named_inputs:
                stages[name] = replace(stage, edges=left)
                continue
            del stages[name]
            notes.append(f"stage '{name}' is cut: it reads '{lost}'")
            waiting.append(name)
    return notes
