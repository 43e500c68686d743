from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.executors.running import run

#: Each waits at a FIFO until the sink has seen what all others could do without it.
STAGES = """
import os

def numbers(count, rest):
    yield from range(count)
    if rest:
        open(rest).close()

stuck = None

def work(item, held, go_on):
    global stuck
    if stuck is None:
        try:
            os.close(os.open(held, os.O_CREAT | os.O_EXCL))
            stuck = True
        except FileExistsError:
            stuck = False
        if stuck and go_on:
            open(go_on).close()
    return item

class Count:
    def __init__(self, enough, fifo):
        self.left, self.fifo = enough, fifo

    def __call__(self, item):
        self.left -= 1
        if self.left == 0:
            self.end = open(self.fifo, "w")  # stays open for who comes later
        return item
"""

ITEMS = 60
#: One in hand, and what was dealt before anything was known of the replicas; some more than that.
STUCK = 10


def pipeline(folder: Path, *, source_rests: bool) -> dict[str, Any]:
    (folder / "uneven.py").write_text(STAGES)
    fifo = str(folder / "fifo")
    os.mkfifo(fifo)
    rest, go_on = (fifo, "") if source_rests else ("", fifo)
    return {
        "source": {"call": "uneven:numbers", "with": {"count": ITEMS, "rest": rest}},
        "work": {
            "call": "uneven:work",
            "inputs": "source",
            "replicas": 2,
            "ordered": False,
            "with": {"held": str(folder / "held"), "go_on": go_on},
        },
        "count": {
            "call": "uneven:Count",
            "inputs": "work",
            "with": {"enough": ITEMS - (0 if source_rests else STUCK), "fifo": fifo},
        },
        "out": {"keep": "count"},
    }


def test_a_replica_that_is_stuck_at_an_item_has_few_others_to_do(tmp_path: Path) -> None:
    outcome = run(tmp_path, pipeline(tmp_path, source_rests=False), "local")

    assert sorted(outcome.items("out")) == list(range(ITEMS))
    assert len(outcome.items("out")) - STUCK > ITEMS / 2


def test_what_is_kept_back_is_dealt_while_the_source_takes_its_time(tmp_path: Path) -> None:
    outcome = run(tmp_path, pipeline(tmp_path, source_rests=True), "local")

    assert sorted(outcome.items("out")) == list(range(ITEMS))


TWO_PORTS = """
import pipeflow

def both(first, then, last):
    for number in range(first):
        yield pipeflow.to("a", number)
    for number in range(then):
        yield pipeflow.to("b", number)
    for number in range(last):
        yield pipeflow.to("a", number)

waited = False

def work(item, fifo):
    global waited
    if not waited:
        waited = True
        open(fifo).close()
    return item
"""


def two_ports(
    folder: Path, counts: tuple[int, int, int], capacity: int, replicas: int
) -> dict[str, Any]:
    """Nobody works at ``a`` before all of ``b`` is done."""
    (folder / "uneven.py").write_text(STAGES)
    (folder / "two_ports.py").write_text(TWO_PORTS)
    fifo = str(folder / "fifo")
    os.mkfifo(fifo)
    first, then, last = counts
    return {
        "source": {
            "call": "two_ports:both",
            "outputs": ["a", "b"],
            "with": {"first": first, "then": then, "last": last},
        },
        "work": {
            "call": "two_ports:work",
            "inputs": {"from": "source.a", "capacity": capacity},
            "replicas": 2,
            "with": {"fifo": fifo},
        },
        "others": {
            "call": "uneven:work",
            "inputs": "source.b",
            "replicas": replicas,
            "with": {"held": str(folder / "held"), "go_on": ""},
        },
        "count": {
            "call": "uneven:Count",
            "inputs": "others",
            "with": {"enough": then, "fifo": fifo},
        },
        "a": {"keep": "work"},
        "b": {"keep": "count"},
    }


def test_what_waits_for_another_port_leaves_before_replicas_are_waited_for(tmp_path: Path) -> None:
    outcome = run(tmp_path, two_ports(tmp_path, (13, 20, 20), capacity=8, replicas=1), "local")

    assert outcome.items("a") == [*range(13), *range(20)]
    assert outcome.items("b") == list(range(20))


def test_at_the_end_no_port_keeps_back_what_the_replicas_of_another_need(tmp_path: Path) -> None:
    outcome = run(tmp_path, two_ports(tmp_path, (60, 60, 0), capacity=256, replicas=2), "local")

    assert outcome.items("a") == list(range(60))
    assert outcome.items("b") == list(range(60))


def test_a_circle_of_waits_is_seen_while_items_are_kept_back(tmp_path: Path) -> None:
    given = {"total": "${shared.total}"}
    stages = {
        "source": {"call": "states:held", "with": {**given, "stop": 3000}},
        "work": {"call": "states:wants", "inputs": "source", "replicas": 2, "with": given},
        "sink": {"keep": "work"},
    }
    total = {"type": "value", "dtype": "int64", "value": 0}

    outcome = run(tmp_path, stages, "local", shared={"total": total})

    message = outcome.report.errors[0].message
    assert "waits for the lock of shared 'total', which source holds" in message
