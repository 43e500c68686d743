"""What logs.yaml finds in a day's log is what a plain loop finds in it."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Example, Finished, Run

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(150),  # the day's log is made and read by processes that share few cores
]

PIPELINE: Final = Path(__file__).parents[2] / "pipelines/logs.yaml"
RESULTS: Final = ("access.log.gz", "top-pages.csv", "refused.csv")


Request = tuple[str, str, str, int]  # host, minute, page and status


def requests(folder: Path) -> tuple[list[Request], list[str]]:
    """What each whole line says, and all broken lines: cut at blanks."""
    whole, broken = [], []
    with gzip.open(folder / "out/access.log.gz", "rt", encoding="utf-8") as log:
        for line in log.read().splitlines():
            fields = line.split(" ", 11)
            if len(fields) < 12 or not re.search(r'.[^\\]"$', fields[11]):
                broken.append(line)
                continue
            at = datetime.strptime(f"{fields[3]} {fields[4]}", "[%d/%b/%Y:%H:%M:%S %z]")
            minute = str(at.astimezone(UTC).replace(second=0))
            whole.append((fields[0], minute, fields[6], int(fields[8])))
    return whole, broken


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def table(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "out/errors.db")) as base:
        return base.execute("SELECT minute, errors, pages FROM errors_per_minute").fetchall()


def letters(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "out/broken-lines.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def day(example: Example) -> Finished:
    return example("logs", "local")


@pytest.fixture(scope="module")
def whole(day: Finished) -> list[Request]:
    return requests(day.folder)[0]


@pytest.fixture(scope="module")
def broken(day: Finished) -> list[str]:
    return requests(day.folder)[1]


def test_a_days_log_is_read_to_its_end(day: Finished) -> None:
    assert (day.code, day.report["run"]["status"]) == (0, "succeeded"), day.stderr
    assert day.report["ledger"] == {"balanced": True, "findings": []}
    assert day.stage("log")["emitted"]["out"] == 200_000
    assert day.stage("parse")["processed"] == 200_000 - day.stage("parse")["dead_lettered"]


def test_the_pages_asked_for_most_are_those_of_a_plain_count(
    day: Finished, whole: list[Request]
) -> None:
    counts = Counter(page for _, _, page, status in whole if status < 400)

    expected = [
        {"rank": str(rank), "value": page, "count": str(count)}
        for rank, (page, count) in enumerate(
            sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:20], 1
        )
    ]
    assert rows(day.folder / "out/top-pages.csv") == expected


def test_what_was_refused_is_counted_by_page_and_status(
    day: Finished, whole: list[Request]
) -> None:
    hosts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for host, _, page, status in whole:
        if 400 <= status < 500:
            hosts[page, str(status)].append(host)

    assert {
        (row["page"], row["status"]): (int(row["count"]), int(row["hosts"]))
        for row in rows(day.folder / "out/refused.csv")
    } == {key: (len(seen), len(set(seen))) for key, seen in hosts.items()}


def test_errors_per_minute_are_in_the_database_in_order(
    day: Finished, whole: list[Request]
) -> None:
    pages: defaultdict[str, list[str]] = defaultdict(list)
    for _, minute, page, status in whole:
        if status >= 500:
            pages[minute].append(page)

    assert table(day.folder) == [
        (minute, len(pages[minute]), len(set(pages[minute]))) for minute in sorted(pages)
    ]
    assert day.stage("minutes")["emitted"].get("late", 0) == 0


def test_every_broken_line_is_a_dead_letter_with_its_text_and_reason(
    day: Finished, broken: list[str]
) -> None:
    assert len(broken) > 50
    assert [letter["item"] for letter in letters(day.folder)] == broken
    assert {letter["error"]["type"] for letter in letters(day.folder)} == {"ValueError"}
    assert day.stage("parse")["dead_lettered"] == len(broken)


def test_a_shorter_log_gives_the_same_in_one_process(run: Run, tmp_path: Path) -> None:
    done: list[Finished] = []
    for executor in ("local", "inline"):
        folder = tmp_path / executor
        folder.mkdir()
        options = ("--executor", executor, "--param", "lines=20000")
        done.append(run(PIPELINE, *options, folder=folder))

    local, inline = done
    assert (local.code, inline.code) == (0, 0), local.stderr + inline.stderr
    for name in RESULTS:
        assert (local.folder / "out" / name).read_bytes() == (
            inline.folder / "out" / name
        ).read_bytes()
    assert table(local.folder) == table(inline.folder) != []
    told = [[(each["id"], each["item"]) for each in letters(run.folder)] for run in done]
    assert told[0] == told[1] != []
