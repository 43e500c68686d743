"""Explain: a plan for people, as text, and for programs, as what JSON can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeflow.planner.drawing import graph_dot, graph_mermaid, graph_text
from pipeflow.planner.memory import size
from pipeflow.planner.plan import EdgePlan, Join, Pairing, Plan, Route, StagePlan
from pipeflow.spec.policies import ArrayMode, Batching, Budget, ErrorPolicy, OnError, Overflow
from pipeflow.spec.shapes import Shape
from pipeflow.spec.shared import Shared, SharedKind, names_of

__all__ = ["graph_dot", "graph_mermaid", "graph_text", "plan_json", "plan_text"]

#: What a route means, in a few words.
_ROUTES = {
    Route.SINGLE: "to one worker",
    Route.BALANCE: "to whoever has room",
    Route.ALIGNED: "worker to worker",
    Route.BY_UNIT: "in turn",
    Route.ANY: "to whoever has room, as it comes",
    Route.KEY: "by key",
    Route.BROADCAST: "to all",
}


def plan_text(plan: Plan) -> str:
    """What would run, for a terminal, without the warnings; ends with a newline."""
    cores = _count(plan.cores, "core")
    processes = _count(plan.processes, "process", "es")
    held = size(edge_bytes(plan))
    parts = [
        [
            f"{plan.pipeline} ({plan.file}): {processes} on {cores}"
            + (", one of them the manager of what stages share" if plan.has_manager else ""),
            f"memory: shared arrays up to {size(plan.memory)}; all edges together up to {held}",
            f"open files: at most {plan.descriptors} in one process",
        ],
        ["shared", *_table(_shared_row(plan, each) for each in plan.shared)] if plan.shared else [],
        ["stages", *_table(_stage_row(plan, stage) for stage in plan.stages)],
        ["edges", *_table(_edge_row(plan, edge) for edge in plan.edges)] if plan.edges else [],
        [f"note: {note}" for note in plan.notes],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def edge_bytes(plan: Plan) -> int:
    """Bytes of shared arrays on all edges together when all are full."""
    return sum(edge.capacity_bytes * plan.stages[edge.target].replicas for edge in plan.edges)


def plan_json(plan: Plan) -> dict[str, object]:
    """What would run, as lists, dicts, texts and numbers, without the warnings.

    Stages and edges go by name.
    """
    name = [stage.name for stage in plan.stages]
    return {
        "format": 1,
        "pipeline": plan.pipeline,
        "file": plan.file,
        "processes": plan.processes,
        "cores": plan.cores,
        "memory": {"limit_bytes": plan.memory, "edges_bytes": edge_bytes(plan)},
        "descriptors": plan.descriptors,
        "shared": [_shared_json(plan, each) for each in plan.shared],
        "stages": [_stage_json(plan, stage) for stage in plan.stages],
        "edges": [_edge_json(plan, edge) for edge in plan.edges],
        "start_order": [name[index] for index in plan.start_order],
        "stop_order": [name[index] for index in plan.stop_order],
        "notes": list(plan.notes),
    }


def _shared_row(plan: Plan, shared: Shared) -> tuple[str, ...]:
    place = "in the manager process" if shared.in_manager else "in shared memory"
    amount = "" if shared.in_manager else size(shared.nbytes)
    return shared.name, str(shared), place, amount, f"for {', '.join(_users(plan, shared))}"


def _users(plan: Plan, shared: Shared) -> list[str]:
    return [stage.name for stage in plan.stages if shared.name in names_of(stage.parameters)]


def _shared_json(plan: Plan, shared: Shared) -> dict[str, object]:
    lies = {} if shared.in_manager else {"dtype": shared.dtype, "value": shared.value}
    return {
        "name": shared.name,
        "type": shared.kind.value,
        **lies,
        **({"shape": list(shared.shape)} if shared.kind is SharedKind.ARRAY else {}),
        "bytes": shared.nbytes,
        "in": "manager" if shared.in_manager else "memory",
        "stages": _users(plan, shared),
        "at": str(shared.at),
    }


def _stage_row(plan: Plan, stage: StagePlan) -> tuple[str, ...]:
    inputs = ", ".join(_input_text(plan, plan.edges[index]) for index in stage.edges_in)
    more = [
        f"<- {inputs}{_join_text(stage)}" if inputs else "",
        _batch_text(stage.batch),
        f"{stage.concurrency} in flight" if stage.shape is Shape.ASYNC and inputs else "",
        f"at most {stage.timeout_s:g} s an item" if stage.timeout_s is not None else "",
        _policy_text(stage.on_error),
        "isolated" if stage.isolated else "",
    ]
    return (
        stage.name,
        stage.work,
        stage.role.value,
        stage.shape.value,
        _count(stage.replicas, "worker"),
        _count(stage.threads, "thread") + (" each" if stage.replicas > 1 else ""),
        "; ".join(filter(None, more)),
    )


def _batch_text(batch: Batching | None) -> str:
    """``batches of 64, sent after 0.05 s, stacked``; empty for single items."""
    if batch is None:
        return ""
    wait = "" if batch.wait_s is None else f", sent after {batch.wait_s:g} s"
    return f"batches of {batch.size}{wait}" + (", stacked" if batch.stack else "")


def _policy_text(policy: ErrorPolicy) -> str:
    """``on error: skip after 3 retries from 0.2 s on, at most 1%``; empty for the default."""
    if policy.is_short and policy.then is OnError.STOP:
        return ""
    words = f"on error: {policy.then.value}"
    if policy.retries:
        tries = f"{policy.retries} {'retry' if policy.retries == 1 else 'retries'}"
        words += f" after {tries} from {policy.backoff_s:g} s on"
    return words + ("" if policy.budget is None else f", at most {policy.budget}")


def _input_text(plan: Plan, edge: EdgePlan) -> str:
    source = _port(plan, edge)
    return f"{edge.input}={source}" if edge.input else source


def _join_text(stage: StagePlan) -> str:
    match stage.join:
        case Join.ZIP_BY_ID:
            return " (zip by id)"
        case Join.ZIP_BY_POSITION:
            return " (zip by position)"
        case Join.LATEST:
            return " (latest)"
        case Join.BY_KEY:
            return f" (by key, within {_within(stage.pairing)})"
        case Join.NONE | Join.MERGE:
            return ""


def _within(pairing: Pairing | None) -> str:
    assert pairing is not None
    return f"{pairing.seconds:g} s" if pairing.items is None else _count(pairing.items, "item")


def _edge_row(plan: Plan, edge: EdgePlan) -> tuple[str, ...]:
    readers = plan.stages[edge.target].replicas
    more = [
        f"{_count(edge.capacity_items, 'item')} and {size(edge.capacity_bytes)}"
        + (f" for each of {readers} readers" if readers > 1 else ""),
        "" if edge.overflow is Overflow.BLOCK else f"overflow: {edge.overflow.value}",
        "" if edge.arrays is ArrayMode.SHARED else "arrays: copy",
    ]
    return (
        f"{_port(plan, edge)} -> {plan.stages[edge.target].name}",
        edge.way,
        _ROUTES[edge.route],
        "; ".join(filter(None, more)),
    )


def _port(plan: Plan, edge: EdgePlan) -> str:
    stage = plan.stages[edge.source].name
    return stage if edge.port == "out" else f"{stage}.{edge.port}"


def _table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Columns side by side, indented by two; columns that are empty throughout are left out."""
    cells = list(rows)
    used = [column for column in zip(*cells, strict=True) if any(column)]
    widths = [max(len(cell) for cell in column) for column in used]
    lines = zip(*used, strict=True)
    return ["  " + _padded(line, widths).rstrip() for line in lines]


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"


def _stage_json(plan: Plan, stage: StagePlan) -> dict[str, object]:
    work = _work_json(stage)
    return {
        "name": stage.name,
        **work,
        "role": stage.role.value,
        "shape": stage.shape.value,
        "level": stage.level,
        "replicas": stage.replicas,
        "threads": stage.threads,
        "keeps_state": stage.keeps_state,
        "join": stage.join.value,
        "within": _within_json(stage.pairing),
        "inputs": [_port(plan, plan.edges[index]) for index in stage.edges_in],
        "ports": list(stage.ports),
        "on_error": stage.on_error.then.value,
        "retries": stage.on_error.retries,
        "backoff_s": stage.on_error.backoff_s if stage.on_error.retries else None,
        "budget": _budget_json(stage.on_error.budget),
        "timeout_s": stage.timeout_s,
        "batch": _batch_json(stage.batch),
        "concurrency": stage.concurrency if stage.shape is Shape.ASYNC and stage.edges_in else None,
        "isolated": stage.isolated,
        "at": str(stage.at),
    }


def _within_json(pairing: Pairing | None) -> dict[str, object] | None:
    """Of a join by key: items or seconds."""
    if pairing is None or (pairing.items is None and pairing.seconds is None):
        return None
    return {"items": pairing.items, "seconds": pairing.seconds}


def _batch_json(batch: Batching | None) -> dict[str, object] | None:
    if batch is None:
        return None
    return {"size": batch.size, "wait_s": batch.wait_s, "stack": batch.stack}


def _work_json(stage: StagePlan) -> dict[str, object]:
    """As the file has it."""
    if stage.program is None:
        return {"call": stage.call} if stage.call else {"use": stage.operator}
    form = stage.program.format
    return {
        "run": {
            "cmd": list(stage.program.command),
            "mode": stage.program.mode.value,
            "format": form.value if form else None,
        }
    }


def _budget_json(budget: Budget | None) -> int | str | None:
    """As the file has it: a number, or a percentage."""
    if budget is None:
        return None
    return str(budget) if budget.percent else int(budget.amount)


def _edge_json(plan: Plan, edge: EdgePlan) -> dict[str, object]:
    return {
        "from": f"{plan.stages[edge.source].name}.{edge.port}",
        "to": plan.stages[edge.target].name,
        "input": edge.input,
        "transport": edge.way,
        "route": edge.route.value,
        "capacity": {"items": edge.capacity_items, "bytes": edge.capacity_bytes},
        "overflow": edge.overflow.value,
        "arrays": edge.arrays.value,
        "ordered": edge.ordered,
        "at": str(edge.at),
    }
