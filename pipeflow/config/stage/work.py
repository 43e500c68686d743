"""What a stage does: ``call``, ``use`` or ``run``, and the parameters of that."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Entry, Map, Node, Scalar
from pipeflow.config.problem import Problem
from pipeflow.config.stage.broken import UNKNOWN_WORK
from pipeflow.config.stage.call_check import Complaint, check_parameters
from pipeflow.config.stage.edges import Inputs
from pipeflow.config.stage.parameters import (
    Parameters,
    call_parameters,
    given_to,
    operator_parameters,
    tried_for,
)
from pipeflow.config.stage.program import judge_program, read_program
from pipeflow.config.stage.surroundings import Surroundings
from pipeflow.errors import Location
from pipeflow.spec.language import STAGE
from pipeflow.spec.pipeline import Call, Use
from pipeflow.spec.program import Program
from pipeflow.spec.stage_type import CallFacts


def read_work(
    entry: Entry, cursor: Cursor, around: Surroundings
) -> tuple[Call | Use | Program, Location]:
    """The work of a stage, and where that stands; a mistake gives ``UNKNOWN_WORK``."""
    call, use, run = cursor.get("call"), cursor.get("use"), cursor.get("run")
    if isinstance(call, Scalar) and isinstance(call.value, str):
        return _call(cursor, call, around), call.at
    if isinstance(use, Scalar) and isinstance(use.value, str):
        operator = around.stage_types.get(use.value)
        if operator is not None:
            return Use(operator=operator), use.at
        from pipeflow.config.shape.wording import unknown_operator  # most files have no mistakes

        cursor.findings.add(unknown_operator(use.value, around.stage_types), use.at, use.length)
    if run is not None and call is None and use is None:
        program = read_program(cursor, around.program_path)
        if program is not None:
            return program, run.at
    return UNKNOWN_WORK, entry.key_at


def read_parameters(cursor: Cursor, work: Call | Use | Program, inputs: Inputs) -> Parameters:
    """What ``with`` gives to the work; what does not fit is a finding."""
    if isinstance(work, Program):
        judge_program(cursor, work, inputs)
        return Parameters()
    if isinstance(work, Use):
        return operator_parameters(cursor, work.operator)
    if inputs.whole and work is not UNKNOWN_WORK:
        _judge_call(cursor, work.facts, inputs)
    return call_parameters(cursor, work.facts)


def _call(cursor: Cursor, node: Scalar, around: Surroundings) -> Call:
    text = str(node.value)
    found = around.look_up(text)
    module, _, attribute = text.partition(":")
    if isinstance(found, Problem):
        cursor.findings.add(found, node.at, node.length)
        return UNKNOWN_WORK
    for doubt in found.problems:
        cursor.findings.add(doubt, node.at, node.length)
    return Call(module=module, attribute=attribute, facts=found.facts)


def _judge_call(cursor: Cursor, facts: CallFacts, inputs: Inputs) -> None:
    """Tell where ``with`` and the inputs do not fit the function."""
    items = tuple(edge.input for edge in inputs.edges) if inputs.named else ()
    count = items if inputs.named else min(1, len(inputs.edges))
    call = cursor.node.entry("call")
    assert call is not None
    unsure = cursor.unread("with", STAGE)
    for one in check_parameters(facts, given_to(cursor), count, tried_for(cursor)):
        if unsure and one.problem.code == "missing-parameter":
            # It may stand there, in what could not be read.
            continue
        at, length = _place_of(cursor, one, call.value)
        cursor.findings.add(one.problem, at, length)


def _place_of(cursor: Cursor, one: Complaint, call: Node) -> tuple[Location, int]:
    """A name that is wrong is told at the name, a value at the value, the rest at the call."""
    if one.place is not None:
        return one.place
    block = cursor.node.get("inputs" if one.port else "with")
    entry = block.entry(one.port or one.parameter) if isinstance(block, Map) else None
    if entry is None:
        return call.at, call.length
    return entry.key_at, entry.key_length
