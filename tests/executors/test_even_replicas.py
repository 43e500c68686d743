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
            open(self.fifo, "w").close()
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
