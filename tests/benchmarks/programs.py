"""Runs one system in processes of its own: ``pipeflow run``, or a baseline in a fresh Python."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.model import NotAvailable, WrongResult

ROOT: Final = Path(__file__).parent.parent.parent
PIPELINES: Final = Path(__file__).parent / "pipelines"

#: One measurement takes seconds; who takes this long hangs.
DEADLINE_S: Final = 120.0
#: Exit codes: pipeflow's for what it does not understand, a baseline's for what is not installed.
USAGE: Final = 2
MISSING: Final = 69  # EX_UNAVAILABLE of sysexits.h

#: Set in containers, where it makes each start compile all anew.
_DONT_KEEP: Final = "PYTHONDONTWRITEBYTECODE"

#: What one may do beside a running program: called until it says that it saw enough, or the end.
Watch = Callable[["subprocess.Popen[str]"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Exit code.
        began_ns: ``perf_counter_ns`` just before the exec.
        wall_s: From there to the end.
        said: Its standard error.
    """

    code: int
    began_ns: int
    wall_s: float
    said: str


def compile_ours() -> None:
    """Compile what is measured, as ``pip install`` does: an installed package has its ``.pyc``."""
    for folder in (ROOT / "pipeflow", PIPELINES.parent):
        compileall.compile_dir(folder, quiet=1)


def _as_installed() -> dict[str, str]:
    """Our variables, but that Python may keep what it compiles."""
    return {name: value for name, value in os.environ.items() if name != _DONT_KEEP}


def run_program(command: Sequence[str], *, watch: Watch | None = None) -> Ended:
    """Run a program to its end; whatever happens, no process of its group stays.

    Raises:
        WrongResult: It did not end in time.
    """
    began_ns = time.perf_counter_ns()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=_as_installed(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            if watch is not None:
                watch(process)
            _, said = process.communicate(timeout=DEADLINE_S)
            wall_s = (time.perf_counter_ns() - began_ns) / 1e9
        except subprocess.TimeoutExpired:
            raise WrongResult(f"{' '.join(command)}: no end after {DEADLINE_S:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Ended(code=process.returncode, began_ns=began_ns, wall_s=wall_s, said=said)


@contextlib.contextmanager
def confined_to(cpus: int) -> Iterator[None]:
    """Let programs that are started in here use so many processors; 0 is all of ours."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(ours)[: cpus or None])
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def pipeflow_command(
    pipeline: str, params: Mapping[str, object], options: Sequence[str] = ()
) -> list[str]:
    """Spell ``pipeflow run`` as a user would, by the command beside this Python."""
    script = shutil.which("pipeflow", path=str(Path(sys.executable).parent))
    program = [script] if script else [sys.executable, "-m", "pipeflow"]
    given = [f"--param={name}={value}" for name, value in params.items()]
    return [*program, "run", str(PIPELINES / pipeline), "--quiet", *given, *options]


def run_pipeflow(
    pipeline: str,
    params: Mapping[str, object],
    options: Sequence[str] = (),
    *,
    watch: Watch | None = None,
) -> Ended:
    """Run a pipeline of ours with all that it does by default.

    Args:
        pipeline: File name in ``pipelines/``.
        params: Values of its params.
        options: Further options. If there are any and the command line does not understand them,
            they are not in this version yet.
        watch: What to do meanwhile.

    Raises:
        NotAvailable: The command line does not know the options.
        WrongResult: The run failed.
    """
    ended = run_program(pipeflow_command(pipeline, params, options), watch=watch)
    if ended.code == USAGE and options:
        why = _first_line(ended.said).removeprefix("pipeflow: error: ")
        raise NotAvailable(f"not available yet: {why}")
    if ended.code != 0:
        raise WrongResult(_failure(f"pipeflow run {pipeline}", ended))
    return ended


def run_baseline(
    target: str, job: str, arguments: Mapping[str, object], *, watch: Watch | None = None
) -> Ended:
    """Run a baseline in a fresh Python: ``tests/benchmarks/child.py``.

    Args:
        target: ``module:function`` in ``tests/benchmarks/``.
        job: Name of a function in ``jobs.py``.
        arguments: Its arguments.
        watch: What to do meanwhile.

    Raises:
        NotAvailable: It needs a package that is not installed.
        WrongResult: It failed.
    """
    command = [sys.executable, "-m", "tests.benchmarks.child", target, job, json.dumps(arguments)]
    ended = run_program(command, watch=watch)
    if ended.code == MISSING:
        raise NotAvailable(_first_line(ended.said))
    if ended.code != 0:
        raise WrongResult(_failure(target, ended))
    return ended


def _failure(what: str, ended: Ended) -> str:
    """The first line goes to a table, the rest below it."""
    # Where the mistake is stands before its kind; in a table that is too long.
    _, error, reason = _first_line(ended.said).rpartition("error[")
    return f"{what} exited {ended.code}: {error}{reason}\n{ended.said}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "it did not say why"
