"""Way: the stages between what a test gives and what it expects."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.traits import answers
from pipeflow.spec.pipeline import Call, Edge, FileTest, Given, Pipeline, PortRef, Stage, Use
from pipeflow.spec.ports import OUT
from pipeflow.spec.program import Program
from pipeflow.spec.shapes import Role
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The stages between what is given and what is expected.

    Attributes:
        stages: All stages by name.
        given: What is given, by its port.
        running: Names of those that run.
        sinks: Ports of the expectations that are compared by what reached them.
        reached: Ports of the expectations to which a path leads.
    """

    stages: Mapping[str, Stage]
    given: Mapping[PortRef, Given]
    running: frozenset[str]
    sinks: frozenset[PortRef]
    reached: frozenset[PortRef]

    def feeds(self, edge: Edge) -> bool:
        """Whether anything comes by an edge."""
        return edge.source in self.given or edge.source.stage in self.running


def find_way(pipeline: Pipeline, test: FileTest) -> Way:
    """Walk backwards from what is expected, and keep what can be reached from what is given."""
    stages = {stage.name: stage for stage in pipeline.stages}
    given = {each.port: each for each in test.given}
    sinks = frozenset(
        each.port
        for each in test.expect
        if each.port.stage in stages and _is_sink(each.port, stages)
    )
    wanted: set[str] = set()
    for expected in test.expect:
        leading = upstream(expected.port.stage, stages, frozenset(given))
        wanted |= leading - ({expected.port.stage} if expected.port in sinks else set())
    reachable = _downstream(stages, frozenset(given)) if given else set(stages)
    running = (wanted & reachable) - {port.stage for port in given}
    reached = {
        each.port
        for each in test.expect
        if each.port.stage in running
        or (
            each.port in sinks
            and any(
                source in given or source.stage in running
                for source in sources_of(stages[each.port.stage])
            )
        )
    }
    return Way(
        stages=stages,
        given=given,
        running=frozenset(running),
        sinks=sinks,
        reached=frozenset(reached),
    )


def sources_of(stage: Stage) -> set[PortRef]:
    """The outputs that a stage reads."""
    return {edge.source for edge in stage.edges}


def upstream(name: str, stages: Mapping[str, Stage], given: frozenset[PortRef]) -> set[str]:
    """A stage and all before it, up to what is given."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in stages and current not in found:
            found.add(current)
            waiting += [source.stage for source in sources_of(stages[current]) - given]
    return found


def _downstream(stages: Mapping[str, Stage], given: frozenset[PortRef]) -> set[str]:
    """All stages that something given can reach."""
    replaced = {port.stage for port in given}
    found: set[str] = set()
    while True:
        more = {
            name
            for name, stage in stages.items()
            if name not in found | replaced
            and any(source in given or source.stage in found for source in sources_of(stage))
        }
        if not more:
            return found
        found |= more


def _is_sink(port: PortRef, stages: Mapping[str, Stage]) -> bool:
    """Whether a stage only takes: a sink by its kind, or code of the user's that gives nothing."""
    stage = stages[port.stage]
    exported = stage.home.exported if stage.home else frozenset()
    if port.port != OUT or not stage.edges or OUT in exported or stage.inner is not None:
        return False
    match stage.work:
        case Use(operator=operator):
            return operator.role is Role.SINK
        case Call() | Program():
            ports = {PortRef(stage.name, each) for each in (OUT, *stage.outputs)}
            is_read = any(ports & sources_of(other) for other in stages.values())
            return not is_read and answers(stage) is not True
