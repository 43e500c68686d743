"""Sources that wait for the world and sinks that change it, by both executors."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeflow.telemetry.report import Status
from tests.executors.running import EXECUTORS, run
from tests.stages.sites import Site, served

pytestmark = pytest.mark.processes


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


def start(folder: Path, text: str, *options: str, **more: Any) -> subprocess.Popen[str]:
    (folder / "p.yaml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "pipeflow", "run", "p.yaml", *options],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


TIMER = """
stages:
  tick: {use: timer, with: {every: 1h}}
  show: {use: print, inputs: tick}
  save: {use: jsonl.write, inputs: tick, with: {path: ticks.jsonl}}
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_first_ctrl_c_ends_a_timer_at_once_and_its_readers_finish(
    tmp_path: Path, executor: str
) -> None:
    with start(tmp_path, TIMER, "--executor", executor, "--grace", "1h") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=30)

    assert (first + rest, process.returncode) == ("0\n", 130)
    assert (tmp_path / "ticks.jsonl").read_text() == "0\n"
    assert "save: 1 record in ticks.jsonl" in told


STDIN = """
stages:
  read: {use: stdin}
  show: {use: print, inputs: read}
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_first_ctrl_c_ends_the_wait_for_standard_input(tmp_path: Path, executor: str) -> None:
    options = ("--executor", executor, "--grace", "1h")
    with start(tmp_path, STDIN, *options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("one\nhalf")
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(30)  # nobody has closed its standard input
        rest = process.stdout.read()

    assert (first + rest, process.returncode) == ("one\n", 130)


def test_an_early_end_wakes_a_source_that_waits(tmp_path: Path) -> None:
    text = """
stages:
  tick: {use: timer, with: {every: 1h}}
  one: {use: take, inputs: tick, with: {n: 1}}
  show: {use: print, inputs: one}
"""
    with start(tmp_path, text) as process:
        printed, _ = process.communicate(timeout=30)

    assert (printed, process.returncode) == ("0\n", 0)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_failed_run_says_where_its_unfinished_files_are(tmp_path: Path, executor: str) -> None:
    (tmp_path / "mine.py").write_text(
        "def pick(n):\n    if n == 20_000: raise ValueError('no')\n    return n\n"
    )
    text = """
stages:
  numbers: {use: range, with: {stop: 30000}}
  pick: {call: "mine:pick", inputs: numbers}
  save: {use: lines.write, inputs: pick, with: {path: out/all.txt}}
"""
    with start(tmp_path, text, "--executor", executor) as process:
        _, told = process.communicate(timeout=50)

    lines = (tmp_path / "out/all.txt.partial").read_text().splitlines()
    assert process.returncode == 1
    assert lines == [str(n) for n in range(len(lines))]
    assert (
        "pipeflow: stage 'save' did not get to its end: what it wrote is in out/all.txt.partial"
    ) in told
    assert not (tmp_path / "out/all.txt").exists()


FAILS_LATER = """
import pathlib, threading

def pick(n):
    letters, moment = pathlib.Path("letters.jsonl"), threading.Event()
    for _ in range(3000 * n):  # the second item fails when the first is in the file
        if letters.exists() and letters.read_text():
            break
        moment.wait(0.01)
    raise ValueError(n)
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_dead_letters_have_their_file_under_its_name_though_the_run_failed(
    tmp_path: Path, executor: str
) -> None:
    (tmp_path / "mine.py").write_text(FAILS_LATER)
    text = """
stages:
  numbers: {use: range, with: {stop: 2}}
  pick: {call: "mine:pick", inputs: numbers, on_error: {then: dead_letter, budget: 1}}
  letters: {use: jsonl.write, inputs: pick.errors, with: {path: letters.jsonl, live: false}}
  save: {use: jsonl.write, inputs: pick, with: {path: all.jsonl}}
"""
    with start(tmp_path, text, "--executor", executor) as process:
        _, told = process.communicate(timeout=50)

    assert process.returncode == 1, told
    assert '"id": "numbers:0"' in (tmp_path / "letters.jsonl").read_text()
    assert not (tmp_path / "letters.jsonl.partial").exists()
    assert not (tmp_path / "all.jsonl").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_tables_go_from_parquet_to_parquet_in_batches_and_rows(
    tmp_path: Path, executor: str
) -> None:
    rows = [{"n": n, "text": f"row {n}"} for n in range(25_000)]
    source, by_table, by_row, database = (
        tmp_path / name for name in ("in.parquet", "tables.parquet", "rows.parquet", "rows.db")
    )
    stages: dict[str, Any] = {
        "numbers": {"use": "range", "with": {"stop": len(rows)}},
        "rows": {
            "use": "map",
            "inputs": "numbers",
            "with": {"expr": '{"n": item, "text": f"row {item}"}'},
        },
        "save": {"use": "parquet.write", "inputs": "rows", "with": {"path": str(source)}},
    }
    made = run(tmp_path, stages, executor)
    reads = {"path": str(source)}
    stages = {
        "tables": {"use": "parquet.read", "with": {**reads, "batch": 10_000}},
        "again": {"use": "parquet.write", "inputs": "tables", "with": {"path": str(by_table)}},
        "rows": {"use": "parquet.read", "with": reads},
        "each": {"use": "parquet.write", "inputs": "rows", "with": {"path": str(by_row)}},
        "base": {
            "use": "sqlite.write",
            "inputs": "rows",
            "with": {"path": str(database), "table": "t"},
        },
    }

    outcome = run(tmp_path, stages, executor)

    assert made.report.run.status is outcome.report.run.status is Status.SUCCEEDED
    assert outcome.report.ledger.balanced
    assert outcome.stage("tables").emitted == {"out": 3}
    assert outcome.stage("again").metrics == {"written": len(rows)}
    assert pq.read_table(by_table).to_pylist() == pq.read_table(by_row).to_pylist() == rows
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*), max(n) FROM t").fetchone() == (25_000, 24_999)
    if executor == "local":
        edge = outcome.edge("tables.out", "again")
        assert edge.bytes_copied < 0.05 * edge.bytes_shared


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_records_of_a_source_go_by_its_policy(tmp_path: Path, executor: str) -> None:
    database = tmp_path / "a.db"
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("CREATE TABLE t (name TEXT)")
        opened.execute("INSERT INTO t VALUES ('a'), (CAST(x'ff' AS TEXT)), ('b')")
    stages: dict[str, Any] = {
        "read": {
            "use": "sqlite.read",
            "with": {"path": str(database), "query": "SELECT name FROM t"},
            "on_error": "skip",
        },
        "sink": {"keep": "read"},
    }

    outcome = run(tmp_path, stages, executor)

    assert outcome.kept["sink"] == [((0, 0), {"name": "a"}), ((0, 2), {"name": "b"})]
    assert outcome.stage("read").skipped == 1
    assert outcome.report.ledger.balanced


def test_random_items_are_the_same_in_every_executor(tmp_path: Path) -> None:
    stages: dict[str, Any] = {
        "dice": {"use": "random", "with": {"count": 3000}},
        "noise": {"use": "random", "with": {"count": 3000, "kind": "normal"}},
        "one": {"keep": "dice"},
        "two": {"keep": "noise"},
    }

    inline, local = (run(tmp_path / each, stages, each) for each in EXECUTORS)

    assert inline.kept == local.kept
    assert len(set(inline.items("one")) & set(inline.items("two"))) == 0


def test_a_pipe_of_the_shell_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(STDIN)
    command = f"seq 100000 | {sys.executable} -m pipeflow run p.yaml | tail -n 1"

    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=True
    )

    assert ended.stdout == "100000\n"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_secret_of_a_request_is_shown_nowhere(tmp_path: Path, executor: str) -> None:
    text = """
params:
  key: {type: string, secret: true, default: not-for-you}
stages:
  get:
    use: http.get
    with:
      url: "http://localhost:1/a?key=${params.key}"
      headers: {X-Key: "${params.key}"}
    on_error: dead_letter
  show: {use: print, inputs: get}
  bad: {use: jsonl.write, inputs: get.errors, with: {path: bad.jsonl}}
"""
    options = ("--executor", executor, "--report", "r.json", "--events", "e.jsonl")
    with start(tmp_path, text, *options) as process:
        printed, told = process.communicate(timeout=30)

    written = [(tmp_path / name).read_text() for name in ("r.json", "e.jsonl", "bad.jsonl")]
    assert process.returncode == 0
    assert "GET http://localhost:1/a?...: Connection refused" in written[2]
    assert "http://localhost:1/a?key=***" in written[2]
    assert not any("not-for-you" in each for each in (printed, told, *written))


def test_validation_of_a_request_makes_none(tmp_path: Path, site: Site) -> None:
    (tmp_path / "p.yaml").write_text(
        f"stages:\n  get: {{use: http.get, with: {{url: '{site.url}/a'}}}}\n"
        "  show: {use: print, inputs: get}\n"
    )

    for command in ("validate", "plan", "graph", "show"):
        subprocess.run(
            [sys.executable, "-m", "pipeflow", command, "p.yaml"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=30,
        )

    assert site.asked == []
