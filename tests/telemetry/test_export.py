import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeflow.telemetry.events import (
    Event,
    ItemDeadLettered,
    LogLine,
    Progress,
    RunFailed,
    RunFinished,
    RunStarted,
    StageFinished,
    WorkerDied,
    WorkerReady,
    WorkerStarted,
)
from pipeflow.telemetry.export import event_json, report_dict, report_json
from pipeflow.telemetry.masking import escape_controls, masker
from pipeflow.telemetry.report import (
    Bottleneck,
    EdgeFacts,
    ErrorFacts,
    Ledger,
    Report,
    RunFacts,
    StageFacts,
    Status,
    WorkerFacts,
)

ERROR = ErrorFacts(
    stage="decode",
    item="find:17",
    type="ValueError",
    message="token hunter2 refused",
    traceback="Traceback ...\nValueError: token hunter2 refused\n",
    at="a.yaml:3:5",
)


def report(message: str = "", metric: float = 1.5) -> Report:
    return Report(
        run=RunFacts(
            id="r1",
            pipeline="thumbnails",
            file="a.yaml",
            executor="local",
            started="2026-01-02T03:04:05Z",
            wall_s=1.25,
            status=Status.FAILED,
            exit_code=1,
            attempts=1,
            seed=7,
        ),
        stages=(
            StageFacts(
                name="decode",
                replicas=2,
                workers=(WorkerFacts(replica=0, pid=12, cpu_s=0.5, peak_rss_bytes=4096),),
                received=3,
                processed=2,
                failed=1,
                emitted={"out": 2},
                metrics={"pixels": metric},
            ),
        ),
        edges=(
            EdgeFacts(
                source="find.out",
                target="decode",
                input="",
                transport="pipe",
                capacity=8,
                sent=3,
                delivered=3,
            ),
        ),
        ledger=Ledger(balanced=True),
        bottleneck=Bottleneck(stage="decode", why="busy"),
        errors=(replace(ERROR, message=message or ERROR.message),),
    )


def test_a_report_has_the_keys_of_the_manual_and_no_others() -> None:
    found = json.loads(report_json(report()))

    assert list(found) == ["format", "run", "stages", "edges", "ledger", "bottleneck", "errors"]
    assert list(found["run"]) == (
        [
            "id",
            "pipeline",
            "file",
            "executor",
            "started",
            "wall_s",
            "status",
            "exit_code",
            "attempts",
            "seed",
        ]
    )
    assert list(found["stages"][0]) == [
        "name",
        "replicas",
        "workers",
        "received",
        "processed",
        "empty",
        "skipped",
        "dead_lettered",
        "failed",
        "retried",
        "emitted",
        "busy_s",
        "wait_in_s",
        "wait_out_s",
        "metrics",
    ]
    assert found["stages"][0]["workers"] == [
        {"replica": 0, "pid": 12, "cpu_s": 0.5, "peak_rss_bytes": 4096}
    ]
    assert list(found["edges"][0]) == [
        "from",
        "to",
        "input",
        "transport",
        "capacity",
        "sent",
        "delivered",
        "dropped",
        "unmatched",
        "unread",
        "bytes_copied",
        "bytes_shared",
        "slots",
        "slot_waits",
        "peak_in_flight",
    ]
    assert list(found["errors"][0]) == ["stage", "item", "type", "message", "traceback", "at"]
    assert found["format"] == 1
    assert found["run"]["status"] == "failed"


def test_secrets_are_masked_in_what_comes_from_data() -> None:
    text = report_json(report(), secrets=["hunter2"])

    assert "hunter2" not in text
    assert "token *** refused" in text


@given(st.text(min_size=1))
def test_any_text_comes_back_unchanged_and_the_file_is_plain_ascii(message: str) -> None:
    text = report_json(report(message))

    assert json.loads(text)["errors"][0]["message"] == message
    assert all(" " <= character <= "~" or character == "\n" for character in text)


def test_numbers_that_json_does_not_know_become_null() -> None:
    assert report_dict(report(metric=math.inf))["format"] == 1
    assert json.loads(report_json(report(metric=math.nan)))["stages"][0]["metrics"] == {
        "pixels": None
    }


def test_each_event_is_one_line_that_begins_with_its_time_and_name() -> None:
    worker = {"stage": "decode", "replica": 1, "pid": 12}
    died = WorkerDied(**worker, exitcode=None, signal="SIGKILL", item="find:3")  # type: ignore[arg-type]  # mixed values
    letter = ItemDeadLettered(stage="d", replica=0, item="f:1", type="E", message="a\nb")

    lines = {
        "started": event_json(WorkerStarted(**worker), 1.5),  # type: ignore[arg-type]  # likewise
        "ready": event_json(WorkerReady(**worker), 1.5),  # type: ignore[arg-type]  # likewise
        "died": event_json(died, 2.0),
        "letter": event_json(letter, 2.0),
        "stage": event_json(StageFinished(stage="d"), 3.0),
        "run": event_json(RunStarted(id="r", pipeline="p"), 0.0),
        "end": event_json(RunFinished(report=report()), 4.0),
    }

    assert lines["started"] == (
        '{"time": 1.5, "event": "worker_started", "stage": "decode", "replica": 1, "pid": 12}'
    )
    assert lines["ready"] is not None
    assert '"event": "worker_ready"' in lines["ready"]
    assert lines["died"] is not None
    assert lines["died"].endswith('"exitcode": null, "signal": "SIGKILL", "item": "find:3"}')
    assert lines["letter"] is not None
    assert "\n" not in lines["letter"]
    assert lines["stage"] == '{"time": 3.0, "event": "stage_finished", "stage": "d"}'
    assert lines["run"] is not None
    assert '"event": "run_started"' in lines["run"]
    assert lines["end"] is not None
    assert '"exit_code": 1' in lines["end"]


def test_what_is_only_for_showing_is_no_line() -> None:
    shown: list[Event] = [
        LogLine(stage="d", replica=0, level="info", text="x"),
        Progress(elapsed_s=1.0, stages=(), edges=()),
        RunFailed(error=ERROR),
    ]

    assert [event_json(event, 1.0) for event in shown] == [None, None, None]


def test_the_longer_of_two_secrets_is_masked_as_a_whole() -> None:
    masked = masker(["key", "keystone", "", "line\nbreak"])

    assert masked("a keystone, a key") == "a ***, a ***"
    assert masked(repr("line\nbreak")) == "'***'"


def test_control_and_bidirectional_characters_are_spelt_out() -> None:
    assert escape_controls("a\x1b[2Jb\u202ec\td\n") == "a\\x1b[2Jb\\u202ec\td\n"
