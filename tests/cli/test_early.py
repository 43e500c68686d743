"""What begins before the arguments of a command are understood."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeflow.cli.early import begin

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["plan", "a.yaml"],
        ["run", "a.yaml", "--executor", "inline"],
        ["run", "a.yaml", "--executor=inline"],
        ["run", "--start-method", "spawn", "a.yaml"],
        ["run", "--help"],
        ["run", "-h"],
    ],
)
def test_nothing_begins_for_a_command_that_may_need_something_else(arguments: list[str]) -> None:
    assert begin(arguments) is None


def test_the_launch_server_of_a_run_is_there_before_the_command_line_is_loaded() -> None:
    program = (
        "import os, sys; from pipeflow.cli.early import begin;"
        "from pipeflow.runtime.launch.ties import children;"
        "executor = begin(['run', 'a.yaml', '--quiet']);"
        "print(len(children()), 'argparse' in sys.modules); executor.close();"
        "print(len(children()))"
    )

    told = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert told.split() == ["1", "False", "0"]


@pytest.mark.parametrize("arguments", [["a.yaml", "--no-such-option"], ["no-such-file.yaml"]])
def test_a_run_that_is_refused_leaves_no_server_behind(arguments: list[str]) -> None:
    # It would hold the pipe open, and be waited for.
    done = subprocess.run(
        [sys.executable, "-m", "pipeflow", "run", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert "no-such" in done.stderr
