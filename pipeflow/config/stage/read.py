"""From one mapping under ``stages`` to a stage, with every check that concerns this stage alone.

A stage with mistakes is made all the same, as far as it is known: the planner can then look at the
rest of the graph, and every mistake of a file shows at once.
"""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Entry, Scalar
from pipeflow.config.stage.broken import UNKNOWN_WORK, broken_stage
from pipeflow.config.stage.calling import with_calling
from pipeflow.config.stage.edges import Inputs, read_inputs
from pipeflow.config.stage.join import read_join
from pipeflow.config.stage.on_error import with_on_error
from pipeflow.config.stage.outputs import ports_known, read_outputs
from pipeflow.config.stage.part import asked, judge_inputs
from pipeflow.config.stage.replicas import with_partition, with_replicas
from pipeflow.config.stage.resources import read_env, read_resources
from pipeflow.config.stage.surroundings import Surroundings
from pipeflow.config.stage.timeout import timeout_of
from pipeflow.config.stage.work import read_parameters, read_work
from pipeflow.spec.pipeline import Stage
from pipeflow.values import replace


def read_stage(entry: Entry, cursor: Cursor, around: Surroundings) -> Stage:
    """Read one stage; what is wrong goes to the cursor's findings."""
    defaults = around.defaults
    inputs = read_inputs(cursor, defaults.edge)
    if "pipeline" in cursor.node:
        return _part(entry, cursor, inputs, around)
    work, work_at = read_work(entry, cursor, around)
    parameters = read_parameters(cursor, work, inputs)
    if not inputs.whole:
        # Its inputs are not known, so it must not pass for a source.
        work = UNKNOWN_WORK
    stage = replace(
        broken_stage(entry),
        work=work,
        work_at=work_at,
        parameters=parameters.values,
        parameter_at=parameters.at,
        edges=inputs.edges,
        named_inputs=inputs.named,
        join=read_join(cursor, inputs),
        join_at=join.at if (join := cursor.get("join")) else None,
        outputs=read_outputs(cursor, work),
        ports_known=ports_known(cursor, work),
        ordered=cursor.boolean("ordered", default=True),
        resources=read_resources(cursor.inner("resources"), defaults.resources),
        env={**defaults.env, **read_env(cursor.inner("env"))},
        enabled=cursor.boolean("enabled", default=True),
        description=cursor.text("description"),
    )
    stage = with_calling(cursor, stage)
    stage = with_partition(cursor, stage)
    stage = with_replicas(cursor, stage, defaults.replicas, defaults.replicas_at)
    stage = with_on_error(cursor, stage, defaults.on_error, defaults.on_error_at)
    return replace(stage, timeout_s=timeout_of(cursor, stage, defaults.timeout_s))


def _part(entry: Entry, cursor: Cursor, inputs: Inputs, around: Surroundings) -> Stage:
    """A stage that runs another file; that file is closed, so ``defaults`` do not reach it."""
    node = cursor.get("pipeline")
    inner = None
    if isinstance(node, Scalar) and isinstance(node.value, str):
        inner = around.include(asked(entry, cursor, node), cursor.findings)
    if inner is not None:
        judge_inputs(entry, cursor, inner, inputs)
    return replace(
        broken_stage(entry),
        work_at=entry.key_at if node is None else node.at,
        inner=inner,
        edges=inputs.edges,
        named_inputs=inputs.named,
        ports_known=inner is not None and inner.ports_known,
        enabled=cursor.boolean("enabled", default=True),
        description=cursor.text("description"),
    )
