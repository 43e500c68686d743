from datetime import timedelta
from pathlib import Path

import pytest

import pipeflow
from pipeflow import api
from pipeflow.errors import InvalidPipeline, UsageError
from pipeflow.planner.plan import Plan
from pipeflow.telemetry.events import Event
from pipeflow.telemetry.report import Status
from tests.cli.fakes import MACHINE, FakeExecutor, finding, reading, report


def test_every_public_name_is_there() -> None:
    assert all(hasattr(pipeflow, name) for name in pipeflow.__all__)
    assert dir(pipeflow) == sorted(pipeflow.__all__)
    assert pipeflow.__version__.count(".") == 2


def test_other_names_are_told_apart() -> None:
    with pytest.raises(AttributeError, match="'pipeflow' has no attribute 'rnu'"):
        _ = pipeflow.rnu


def test_stream_marks_a_function() -> None:
    def rolling(xs: object) -> object:
        return xs

    marked = pipeflow.stream(rolling)

    assert marked is rolling
    assert getattr(marked, "__pipeflow_stream__", False) is True


@pytest.mark.parametrize("target", ["a.yaml", Path("a.yaml"), {"stages": {}}])
def test_stream_of_a_pipeline_is_there_before_anything_is_read(target: api.Source) -> None:
    stream = pipeflow.stream(target, stage="shrink", params={"width": 3}, seed=7)

    assert (stream.pipeline, stream.stage, stream.seed) == (target, "shrink", 7)
    assert stream.params == {"width": 3}


def test_stream_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match="no int"):
        pipeflow.stream(3)  # type: ignore[call-overload]  # that is the test


def test_a_pipeline_with_mistakes_raises_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "read", lambda *_, **__: reading(None, finding(), finding("cycle")))

    with pytest.raises(InvalidPipeline) as caught:
        pipeflow.load("a.yaml")

    assert [each.code for each in caught.value.findings] == ["unknown-stage", "cycle"]
    assert "a.yaml:6:13: error[unknown-stage]" in str(caught.value)


def test_run_gives_the_report_of_a_failed_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = report(Status.FAILED, 1)
    executor = FakeExecutor(failed)
    heard: list[Event] = []
    monkeypatch.setattr(api, "read", lambda *_, **__: reading())
    monkeypatch.setattr(api, "make_executor", lambda name: executor)
    monkeypatch.setattr("pipeflow.runtime.machine.read_machine", lambda: MACHINE)

    found = pipeflow.run("a.yaml", seed=7, listener=heard.append)

    [(plan, options)] = executor.asked
    assert found is failed
    assert isinstance(plan, Plan)
    assert (options.seed, options.signals) == (7, True)
    assert len(heard) == 2


def test_an_unknown_executor_is_told_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="there is no executor 'lokal'; there are local, inline"):
        pipeflow.run("no such file", executor="lokal")
    with pytest.raises(UsageError, match="'ray' comes in a later version"):
        pipeflow.run("no such file", executor="ray")


def test_params_are_written_as_on_the_command_line() -> None:
    values = ["a b", 3, 1.5, True, None, ["a", 1], Path("x/y"), timedelta(seconds=1)]

    texts = [api.as_text(value) for value in values]

    assert texts == ["a b", "3", "1.5", "true", "null", '["a", 1]', "x/y", "1s"]


def test_what_was_left_out_for_its_mistakes_gives_no_doubts() -> None:
    broken = {
        "stages": {
            "count": {"use": "range", "with": {"stop": 3}},
            "half": {"use": "map", "with": {"expr": "item / 2"}, "inputs": "count"},
            "show": {"use": "prnt", "inputs": {"form": "half", "capacity": 8}},
        }
    }

    with pytest.raises(InvalidPipeline) as caught:
        pipeflow.load(broken)

    codes = sorted(each.code for each in caught.value.findings)
    assert codes == ["unknown-key", "unknown-operator"]


def test_a_mapping_runs(capfd: pytest.CaptureFixture[str]) -> None:
    counting = {
        "stages": {
            "count": {"use": "range", "with": {"stop": 3}},
            "show": {"use": "print", "inputs": "count"},
        }
    }

    report = pipeflow.run(counting, executor="inline")

    assert (report.run.status, report.run.exit_code) == (Status.SUCCEEDED, 0)
    assert report.ledger.balanced
    assert capfd.readouterr().out == "0\n1\n2\n"
