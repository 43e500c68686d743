"""The built-in sinks: files that appear when they are whole, and standard output."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeflow.stages.context import StageContext, enter
from pipeflow.stages.sinks import files as files_module
from pipeflow.stages.sinks import print as print_module
from pipeflow.stages.work import OutputClosed, Work
from tests.stages.working import given, sink, until_true


def feed(work: Work, items: list[Any], *, whole: bool = True) -> None:
    """What a worker does: each item, ``finish`` only after all of them, ``close`` always."""
    assert work.call is not None
    try:
        for item in items:
            assert work.call(item) is None
        if whole and work.finish is not None:
            work.finish()
    finally:
        if work.close is not None:
            work.close()
            work.close()


class Stdout(io.BytesIO):
    """Standard output of the command; keeps what was flushed apart from what was not."""

    flushed = b""

    def flush(self) -> None:
        self.flushed = self.getvalue()


@pytest.fixture
def stdout() -> Iterator[Stdout]:
    stream = Stdout()
    before = enter(StageContext(stage="show", replica=0, stdout=stream))
    yield stream
    enter(before)


def test_print_shows_text_as_it_is_and_records_as_json(stdout: Stdout) -> None:
    feed(sink("print"), ["ä", 1.5, {"a": None}, [1, "x"], Path("a/b"), (1, 2)])

    assert stdout.flushed.decode() == 'ä\n1.5\n{"a": null}\n[1, "x"]\na/b\n(1, 2)\n'


def test_print_has_other_formats(stdout: Stdout) -> None:
    feed(sink("print", format="text"), [[42, None, "hello"]])
    feed(sink("print", format="json", end=";\n"), ["a", Path("b")])
    feed(sink("print"), [{"a": len, "b": np.zeros(2)}])

    assert stdout.flushed.decode() == (
        '[42, None, \'hello\']\n"a";\n"b";\n{"a": "<built-in function len>", "b": [0.0, 0.0]}\n'
    )


def test_each_item_is_out_before_the_next_one_comes(stdout: Stdout) -> None:
    work = sink("print")
    assert work.call is not None

    work.call("a")

    assert stdout.flushed == b"a\n"


def test_print_makes_a_table_at_the_end(stdout: Stdout) -> None:
    rows = [
        {"rank": 1, "value": "self", "count": 1200},
        {"rank": 10, "value": "名前", "note": ["x"]},
        {"rank": 3, "value": "a\tb"},
    ]

    feed(sink("print", format="table"), rows)

    assert stdout.flushed.decode().splitlines() == [
        "rank  value  count  note",
        "----  -----  -----  -----",
        "   1  self    1200",
        '  10  名前          ["x"]',
        "   3  a\\tb",
    ]


def test_a_table_keeps_a_bounded_number_of_rows(
    stdout: Stdout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(print_module, "TABLE_ROWS", 2)

    feed(sink("print", format="table"), [5, 6, 7, 8])

    assert stdout.flushed.decode() == "item\n----\n   5\n   6\n... and 2 rows more\n"


def test_a_table_of_nothing_prints_nothing(stdout: Stdout) -> None:
    feed(sink("print", format="table"), [])

    assert stdout.flushed == b""


def test_a_closed_standard_output_is_told_apart_from_a_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as stream:
        before = enter(StageContext(stage="show", replica=0, stdout=stream))

        with pytest.raises(OutputClosed):
            feed(sink("print"), ["a"])
        with pytest.raises(OutputClosed):
            feed(sink("jsonl.write", path="-"), ["a"])
        enter(before)


def test_outside_a_run_print_uses_this_process_output(capsys: pytest.CaptureFixture[str]) -> None:
    feed(sink("print"), ["a"])

    assert capsys.readouterr().out == "a\n"


def test_null_takes_everything() -> None:
    feed(sink("null"), [1, None, "a"])


def test_a_file_gets_its_name_when_all_items_are_in_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.jsonl"
    work = sink("jsonl.write", path=str(path))
    assert work.call is not None

    work.call({"a": 1})
    early = (path.exists(), path.with_name("a.jsonl.partial").read_text())
    feed(work, ["ä"])

    assert early == (False, '{"a": 1}\n')
    assert path.read_text() == '{"a": 1}\n"ä"\n'
    assert [each.name for each in path.parent.iterdir()] == ["a.jsonl"]
    assert work.keeps_state


def test_an_unfinished_file_stays_partial_and_the_old_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")

    feed(sink("jsonl.write", path=str(path)), [1], whole=False)

    assert path.read_text() == "old\n"
    assert (tmp_path / "a.jsonl.partial").read_text() == "1\n"


def test_a_partial_file_of_an_earlier_run_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    feed(sink("jsonl.write", path=str(path)), [1, 2, 3], whole=False)

    feed(sink("jsonl.write", path=str(path)), [4])

    assert path.read_text() == "4\n"


def test_a_live_file_has_its_name_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    feed(sink("jsonl.write", path=str(path), live=True), [1], whole=False)

    assert path.read_text() == "1\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_link_is_kept_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old\n")
    (tmp_path / "link").symlink_to("real")

    feed(sink("jsonl.write", path=str(tmp_path / "link")), [1])

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "1\n"


def test_a_device_is_written_directly() -> None:
    feed(sink("jsonl.write", path="/dev/null"), [1])

    assert not Path("/dev/null.partial").exists()


def test_a_file_that_another_stage_is_writing_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.jsonl")
    first = sink("jsonl.write", path=path)

    with pytest.raises(BlockingIOError, match="another stage or run is writing this file"):
        sink("jsonl.write", path=path)
    feed(first, [1])

    assert Path(path).read_text() == "1\n"


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        sink("jsonl.write", path=str(tmp_path))


def test_files_are_compressed_by_suffix_or_by_word(tmp_path: Path) -> None:
    feed(sink("jsonl.write", path=str(tmp_path / "a.jsonl.gz")), [1, 2])
    feed(sink("csv.write", path=str(tmp_path / "b"), compression="gzip"), [[1, 2]])
    feed(sink("jsonl.write", path=str(tmp_path / "c.gz"), compression="none"), [1])

    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"1\n2\n"
    assert gzip.decompress((tmp_path / "b").read_bytes()) == b"1,2\n"
    assert (tmp_path / "c.gz").read_text() == "1\n"


@contextmanager
def small_disk() -> Iterator[None]:
    """Files may not grow beyond 20 bytes: a write goes half-way, then fails.

    No fixture: pytest tells how a test went while its fixtures still hold, maybe to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    work = sink("jsonl.write", path=str(path))
    assert work.call is not None

    with small_disk():
        work.call("first")
        with pytest.raises(OSError, match="File too large"):
            work.call("much too long for it")
        feed(work, ["last"])

    assert path.read_text() == '"first"\n"last"\n'


def test_a_broken_compressed_file_never_gets_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    work = sink("jsonl.write", path=str(path))

    with small_disk(), pytest.raises(OSError, match="File too large"):
        feed(work, list("abcdefghijklmnopqrstuvwxyz"))

    assert not path.exists()


def test_a_stdout_that_does_not_block_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    text = "x" * 300_000
    received: list[bytes] = []

    def drain() -> None:
        with os.fdopen(read, "rb") as stream:
            received.append(stream.read())

    reader = threading.Thread(target=drain)
    with os.fdopen(write, "wb", buffering=0) as stream:
        before = enter(StageContext(stage="show", replica=0, stdout=stream))
        reader.start()
        feed(sink("print"), [text])
        enter(before)

    reader.join(30)

    assert received == [text.encode() + b"\n"]


def test_jsonl_writes_to_standard_output(stdout: Stdout) -> None:
    feed(sink("jsonl.write", path="-"), [{"n": np.float32(0.5)}])

    assert stdout.flushed == b'{"n": 0.5}\n'


def test_an_item_that_json_has_no_form_for_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    work = sink("jsonl.write", path=str(path))
    assert work.call is not None

    with pytest.raises(TypeError, match=r"type builtins\.object cannot be written as JSON"):
        work.call({"a": object()})
    feed(work, [1])

    assert path.read_text() == "1\n"


def test_a_dead_letter_is_always_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    letter = {
        "item": {"socket": len, "frame": np.zeros((1000, 1000))},
        "id": "find:3",
        "stage": "decode",
        "replica": 0,
        "attempt": 1,
        "emitted": 0,
        "time": 1.5,
        "error": {"type": "ValueError", "message": "no", "traceback": ""},
    }

    feed(sink("jsonl.write", path=str(path)), [letter])

    written = json.loads(path.read_text())
    assert written["item"]["socket"] == "<built-in function len>"
    assert len(written["item"]["frame"]) < 1000
    assert written["error"]["type"] == "ValueError"


def test_csv_takes_its_columns_from_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows: list[Any] = [
        {"name": 'a "b", c', "n": 1, "ok": True},
        {"n": None, "name": "x\ny"},
        {"ok": date(2024, 5, 1), "n": [1, {"a": 2}], "name": Path("p/q")},
    ]

    feed(sink("csv.write", path=str(path)), rows)

    assert path.read_text() == (
        'name,n,ok\n"a ""b"", c",1,true\n"x\ny",,\np/q,"[1, {""a"": 2}]",2024-05-01\n'
    )


def test_csv_writes_lists_and_columns_that_were_given(tmp_path: Path) -> None:
    with_lists, without_rows = tmp_path / "a.csv", tmp_path / "b.csv"
    items: list[Any] = [[1, 2], np.array([3, 4]), (5, 6), {"y": 8, "x": 7}]

    feed(sink("csv.write", path=str(with_lists), columns=["x", "y"], delimiter=";"), items)
    feed(sink("csv.write", path=str(without_rows), columns=["x", "y"]), [])
    feed(sink("csv.write", path=str(tmp_path / "c.csv"), header=False), [{"a": 1}])

    assert with_lists.read_text() == "x;y\n1;2\n3;4\n5;6\n7;8\n"
    assert without_rows.read_text() == "x,y\n"
    assert (tmp_path / "c.csv").read_text() == "1\n"


def test_a_row_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    work = sink("csv.write", path=str(path))
    assert work.call is not None

    with pytest.raises(TypeError, match="cannot be written as JSON"):
        work.call({"wrong": object()})
    work.call({"a": 1})
    with pytest.raises(ValueError, match="'b' is none of the columns a"):
        work.call({"a": 1, "b": 2})
    with pytest.raises(ValueError, match="2 values, but 1 columns"):
        work.call([1, 2])
    with pytest.raises(TypeError, match="a row is a dict or a list, not str"):
        work.call("a")
    feed(work, [])

    assert path.read_text() == "a\n1\n"


def test_what_csv_write_wrote_csv_read_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [{"name": 'q"\r\n,', "n": 1, "ok": True}, {"name": "ä", "n": 2, "ok": False}]

    feed(sink("csv.write", path=str(path)), rows)
    seen = given("csv.read", path=str(path), types={"n": "integer", "ok": "boolean"})

    assert seen == rows


def test_lines_are_written_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    work = sink("lines.write", path=str(path))
    assert work.call is not None

    for broken in ("one\ntwo", "one\r", b"\xff"):
        with pytest.raises(ValueError, match=r"line break|invalid start byte"):
            work.call(broken)
    feed(work, ["ä", 1.5, b"bytes", {"a": 1}, ""])

    assert path.read_text() == 'ä\n1.5\nbytes\n{"a": 1}\n\n'


def test_a_compressed_file_can_be_followed_while_no_items_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "FLUSH_S", 0.01)
    path = tmp_path / "a.jsonl.gz"
    work = sink("jsonl.write", path=str(path), live=True)
    assert work.call is not None
    work.call({"a": 1})

    until_true(lambda: zlib.decompressobj(wbits=31).decompress(path.read_bytes()) != b"")
    feed(work, [2])

    assert gzip.decompress(path.read_bytes()) == b'{"a": 1}\n2\n'


def test_a_compressed_file_of_a_failed_run_has_all_that_was_written(tmp_path: Path) -> None:
    feed(sink("jsonl.write", path=str(tmp_path / "a.jsonl.gz")), [1, 2], whole=False)

    assert gzip.decompress((tmp_path / "a.jsonl.gz.partial").read_bytes()) == b"1\n2\n"


def test_what_went_wrong_while_nobody_wrote_is_raised_by_the_next_write() -> None:
    flushed: list[int] = []

    def flush() -> None:
        flushed.append(1)
        raise OSError("the disk is full")

    flusher = files_module.EverySecond(flush)
    with flusher:
        pass
    until_true(lambda: bool(flushed))

    flusher.stop()
    with pytest.raises(OSError, match="the disk is full"), flusher:
        pass
    flusher.raise_late()  # once is enough

    assert flushed == [1]


def test_writers_count_their_records_for_the_report(tmp_path: Path) -> None:
    context = StageContext(stage="save", replica=0)
    before = enter(context)
    feed(sink("csv.write", path=str(tmp_path / "a.csv")), [{"a": 1}, {"a": 2}])
    enter(before)

    assert context.metrics == {"written": 2}
