"""Reports and events as JSON, exactly in the form that the manual shows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

from pipeflow.telemetry.events import (
    Event,
    ItemDeadLettered,
    ItemFailed,
    RunFinished,
    RunStarted,
    StageFinished,
    WorkerDied,
    WorkerReady,
    WorkerRestarted,
    WorkerStarted,
)
from pipeflow.telemetry.masking import masker
from pipeflow.telemetry.report import (
    Bottleneck,
    EdgeFacts,
    ErrorFacts,
    Report,
    RunFacts,
    StageFacts,
)

#: Of the report; raised when a reader of the old form would stumble.
FORMAT = 1


def report_json(report: Report, secrets: Sequence[str] = ()) -> str:
    """Write a report as the text of a JSON file, with a newline at its end.

    Args:
        report: What a run did.
        secrets: Texts that are shown as ``***``.
    """
    return _dumps(report_dict(report, secrets), indent=2) + "\n"


def report_dict(report: Report, secrets: Sequence[str] = ()) -> dict[str, object]:
    """Turn a report into plain dicts and lists, with the keys of the JSON form."""
    masked = masker(secrets)
    return {
        "format": FORMAT,
        "run": _run(report.run),
        "stages": [_stage(stage) for stage in report.stages],
        "edges": [_edge(edge) for edge in report.edges],
        "ledger": {
            "balanced": report.ledger.balanced,
            "findings": list(report.ledger.findings),
        },
        "bottleneck": _bottleneck(report.bottleneck),
        "errors": [_error(error, masked) for error in report.errors],
    }


def event_json(event: Event, time: float, secrets: Sequence[str] = ()) -> str | None:
    """Write an event as one line of JSON, without a newline.

    Args:
        event: What happened.
        time: When, in seconds since 1970 UTC.
        secrets: Texts that are shown as ``***``.

    Returns:
        The line, or ``None`` for events that are only for showing.
    """
    named = _event(event, masker(secrets))
    if named is None:
        return None
    name, fields = named
    return _dumps({"time": round(time, 6), "event": name, **fields})


def _event(event: Event, masked: Callable[[str], str]) -> tuple[str, Mapping[str, object]] | None:
    match event:
        case RunStarted():
            return "run_started", {"id": event.id, "pipeline": event.pipeline}
        case WorkerStarted():
            return "worker_started", _worker(event)
        case WorkerReady():
            return "worker_ready", _worker(event)
        case WorkerDied():
            died = {"exitcode": event.exitcode, "signal": event.signal, "item": event.item}
            return "worker_died", {**_worker(event), **died}
        case WorkerRestarted():
            return "worker_restarted", _worker(event)
        case ItemFailed():
            return "item_failed", _item(event, masked)
        case ItemDeadLettered():
            return "item_dead_lettered", _item(event, masked)
        case StageFinished():
            return "stage_finished", {"stage": event.stage}
        case RunFinished(report=report):
            run = report.run
            outcome = {"id": run.id, "status": run.status.value, "exit_code": run.exit_code}
            return "run_finished", outcome
        case _:
            # Progress, LogLine, Draining, RunFailed: for the terminal, not for the record.
            return None


def _worker(event: WorkerStarted | WorkerReady | WorkerDied | WorkerRestarted) -> dict[str, object]:
    return {"stage": event.stage, "replica": event.replica, "pid": event.pid}


def _item(event: ItemFailed | ItemDeadLettered, masked: Callable[[str], str]) -> dict[str, object]:
    return {
        "stage": event.stage,
        "replica": event.replica,
        "item": event.item,
        "type": event.type,
        "message": masked(event.message),
    }


def _run(run: RunFacts) -> dict[str, object]:
    return {
        "id": run.id,
        "pipeline": run.pipeline,
        "file": run.file,
        "executor": run.executor,
        "started": run.started,
        "wall_s": run.wall_s,
        "status": run.status.value,
        "exit_code": run.exit_code,
        "attempts": run.attempts,
        "seed": run.seed,
    }


def _stage(stage: StageFacts) -> dict[str, object]:
    return {
        "name": stage.name,
        "replicas": stage.replicas,
        "workers": [
            {
                "replica": worker.replica,
                "pid": worker.pid,
                "cpu_s": worker.cpu_s,
                "peak_rss_bytes": worker.peak_rss_bytes,
            }
            for worker in stage.workers
        ],
        "received": stage.received,
        "processed": stage.processed,
        "empty": stage.empty,
        "skipped": stage.skipped,
        "dead_lettered": stage.dead_lettered,
        "failed": stage.failed,
        "retried": stage.retried,
        "emitted": dict(stage.emitted),
        "busy_s": stage.busy_s,
        "wait_in_s": stage.wait_in_s,
        "wait_out_s": stage.wait_out_s,
        "metrics": dict(stage.metrics),
    }


def _edge(edge: EdgeFacts) -> dict[str, object]:
    return {
        "from": edge.source,
        "to": edge.target,
        "input": edge.input,
        "transport": edge.transport,
        "capacity": edge.capacity,
        "sent": edge.sent,
        "delivered": edge.delivered,
        "dropped": edge.dropped,
        "unmatched": edge.unmatched,
        "unread": edge.unread,
        "bytes_copied": edge.bytes_copied,
        "bytes_shared": edge.bytes_shared,
        "slots": edge.slots,
        "slot_waits": edge.slot_waits,
        "peak_in_flight": edge.peak_in_flight,
    }


def _bottleneck(bottleneck: Bottleneck | None) -> dict[str, object] | None:
    if bottleneck is None:
        return None
    return {"stage": bottleneck.stage, "why": bottleneck.why}


def _error(error: ErrorFacts, masked: Callable[[str], str]) -> dict[str, object]:
    # Only these texts come from data; names come from the file, where no secret can stand.
    return {
        "stage": error.stage,
        "item": error.item,
        "type": error.type,
        "message": masked(error.message),
        "traceback": masked(error.traceback),
        "at": error.at,
    }


def _dumps(value: Mapping[str, object], indent: int | None = None) -> str:
    # ASCII only, so that no control or bidirectional character, and no half of a surrogate pair,
    # gets through; JSON's own rules leave DEL alone.
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


def _finite(value: object) -> object:
    """Replace what JSON has no word for (NaN, infinities) by null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {str(key): _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value
