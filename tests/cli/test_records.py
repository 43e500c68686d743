from pathlib import Path

import pytest

from pipeflow.cli.records import EventFile, check_report_path, write_report
from pipeflow.errors import UsageError
from pipeflow.telemetry.events import StageFinished
from tests.cli.fakes import FixedClock


def test_an_event_is_in_the_file_as_soon_as_it_happened(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    file = EventFile(str(path), FixedClock(), ())

    file.write(StageFinished(stage="find"))
    written = path.read_text()
    file.close()

    assert written == '{"time": 1000.0, "event": "stage_finished", "stage": "find"}\n'


def test_a_full_disk_stops_the_record_and_not_the_run() -> None:
    file = EventFile("/dev/full", FixedClock(), ())

    file.write(StageFinished(stage="find"))
    file.write(StageFinished(stage="save"))
    file.close()

    assert file.trouble == "--events /dev/full: No space left on device"


def test_a_report_replaces_the_one_before_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    link = tmp_path / "latest.json"
    link.symlink_to(target)

    write_report(str(link), "new")

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest.json", "r.json"]


def test_a_report_may_go_to_a_device() -> None:
    check_report_path("/dev/null")
    write_report("/dev/null", "text")

    assert Path("/dev/null").is_char_device()


def test_a_report_that_cannot_be_written_is_known_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="standard output belongs to"):
        check_report_path("-")
    with pytest.raises(UsageError, match="is a directory"):
        check_report_path(str(tmp_path))
    with pytest.raises(UsageError, match="there is no folder"):
        check_report_path(str(tmp_path / "no" / "r.json"))
