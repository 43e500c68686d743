"""The stages of logs.yaml: an access log as web servers write it, and what its lines say."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, TypedDict

SEED: Final = 20260801
START: Final = datetime(2026, 8, 1, tzinfo=timezone(timedelta(hours=2)))
TIME_FORMAT: Final = "%d/%b/%Y:%H:%M:%S %z"
PAGES: Final = (
    *("/", "/docs/", "/docs/install", "/docs/first-steps", "/search", "/login", "/cart"),
    *(f"/articles/{number}" for number in range(1, 80)),
    *("/style.css", "/script.js", "/favicon.ico", "/robots.txt"),
)
STATUSES: Final = (200, 304, 301, 404, 403, 500, 503)
BROWSERS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.5.0",
    r"a \"quoted\" robot",
)
#: A line of the combined log format: a quote within a quoted field has a backslash before it.
LINE: Final = re.compile(
    r'(?P<host>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[\d.]+" '
    r'(?P<status>\d{3}) (?P<size>\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"'
)


class Hit(TypedDict):
    """One request that a server answered."""

    time: float  # in seconds since 1970
    host: str
    page: str
    status: int
    size: int


def access_log(path: Path, lines: int) -> Iterator[str]:
    """Read a gzipped log line by line; where there is none, make one of so many lines first."""
    if not path.exists():
        make(path, lines)
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as log:
        for line in log:
            yield line.rstrip("\n")


def make(path: Path, lines: int) -> None:
    """Write a log, each time the same to the byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file, gzip.GzipFile("", "wb", 3, file, mtime=0) as packed:
        packed.writelines(f"{line}\n".encode() for line in made_up(lines))
    partial.replace(path)


def made_up(lines: int) -> Iterator[str]:
    """Make up a log, always the same: a day's requests, some of them broken on their way to us."""
    chance = random.Random(SEED)
    weights = [1 / rank for rank in range(1, len(PAGES) + 1)]  # as pages are: few have most
    for number in range(lines):
        # A line is written when its answer is sent, but bears the time of the request.
        second = number * 86_400 // lines - chance.choice((0, 0, 0, 1, 5))
        moment = START + timedelta(seconds=max(0, second))
        trouble = 20 if moment.hour == 14 and moment.minute < 20 else 1  # when something was down
        [page] = chance.choices(PAGES, weights)
        [status] = chance.choices(STATUSES, (900, 40, 20, 25, 5, 5 * trouble, 2 * trouble))
        size = "-" if status == 304 else chance.randrange(200, 60_000)
        line = (
            f"10.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(256)} - - "
            f'[{moment.strftime(TIME_FORMAT)}] "GET {page} HTTP/1.1" {status} {size} '
            f'"https://example.org/" "{chance.choice(BROWSERS)}"'
        )
        yield line[: chance.randrange(len(line))] if chance.random() < 0.0005 else line


def parse(line: str) -> Hit:
    """Take a line apart."""
    if not (fields := LINE.fullmatch(line)):
        raise ValueError("this is no line of the combined log format")
    return Hit(
        time=datetime.strptime(fields["time"], TIME_FORMAT).timestamp(),  # noqa: DTZ007 - it has %z
        host=fields["host"],
        page=fields["path"],
        status=int(fields["status"]),
        size=0 if fields["size"] == "-" else int(fields["size"]),
    )


def per_minute(window: dict[str, Any]) -> dict[str, Any]:
    """How many errors a minute had, and on how many pages."""
    return {
        "minute": str(datetime.fromtimestamp(window["start"], UTC)),
        "errors": len(window["items"]),
        "pages": len({hit["page"] for hit in window["items"]}),
    }
