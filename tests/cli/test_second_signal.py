"""The second signal: the run stops at once, whatever a stage is at."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

DEADLINE_S = 30.0

STUCK = """\
stages:
  count:
    use: range
    with: {stop: 3}
  stick:
    call: "stuck:KIND"
    inputs: count
    on_error: POLICY
  show:
    use: print
    inputs: stick
"""

CODE = """\
import threading

import pipeflow


def for_ever():
    print("stuck")
    threading.Event().wait()


def call(x):
    for_ever()
    return x


def many(x):
    yield x
    for_ever()


@pipeflow.stream
def stream(xs):
    for x in xs:
        for_ever()
        yield x
"""


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize(
    ("kind", "policy"), [("call", "stop"), ("call", "skip"), ("many", "skip"), ("stream", "stop")]
)
def test_the_second_signal_stops_a_stage_that_never_ends(
    tmp_path: Path, executor: str, kind: str, policy: str
) -> None:
    text = STUCK.replace("KIND", kind).replace("POLICY", policy)
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "stuck.py").write_text(CODE)
    command = [sys.executable, "-m", "pipeflow", "run", "a.yaml", "--executor", executor]

    with subprocess.Popen(
        [*command, "--report", "r.json"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "stick | stuck\n" in iter(process.stderr.readline, "")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # of two signals that are alike one may be lost
        _, err = process.communicate(timeout=DEADLINE_S)

    report = json.loads((tmp_path / "r.json").read_text())
    assert process.returncode in {130, 143}, err  # of two at once, either may be seen first
    assert "error" not in err
    assert report["run"]["status"] == "interrupted"
    assert report["errors"] == []
    assert report["ledger"] == {"balanced": True, "findings": []}
    assert report["stages"][1]["failed"] == 1
