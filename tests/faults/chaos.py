"""A chaos run: a million items, while a process of the map is killed every tenth of a second.

    python -m tests.faults.chaos [--items 1000000] [--seconds 20] [--seeds 20] [--first SEED]

Each item reaches each sink exactly once, in order, or is a dead letter, and the ledger balances.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = Path(__file__).parent / "stages"


@dataclass(frozen=True)
class Chaos:
    """What came of one run.

    Attributes:
        code: Exit code of the command.
        said: What it said.
        kills: How many processes were killed.
        report: Its report.
        sinks: What each sink has counted.
        letters: The dead letters.
    """

    code: int
    said: str
    kills: int
    report: dict[str, Any]
    sinks: list[dict[str, Any]]
    letters: list[dict[str, Any]]

    def problems(self, items: int) -> list[str]:
        """All that is not as it should be."""
        found = [] if self.code == 0 else [f"exit code {self.code}: {self.said}"]
        found += self.report["ledger"]["findings"]
        lost = [letter["item"] for letter in self.letters]
        if len(set(lost)) != len(lost):
            found.append("an item is in the dead letters twice")
        count, total = items - len(lost), items * (items - 1) // 2 - sum(lost)
        for sink in self.sinks:
            if (sink["count"], sink["total"]) != (count, total):
                found.append(f"a sink has {sink['count']} items of {count}")
            if sink["wrong"]:
                found.append(f"out of order or wrong: {sink['wrong']}")
        return found


def write(folder: Path, items: int, seconds: float) -> Path:
    """The pipeline of a run."""
    shutil.copy(STAGES / "chaos.py", folder)
    counts = [{"to": str(folder / f"{name}.json")} for name in ("left", "right")]
    stages: dict[str, Any] = {
        "source": {"call": "chaos:numbers", "with": {"stop": items, "seconds": seconds}},
        "map": {
            "call": "chaos:Work",
            "inputs": "source",
            "replicas": 3,
            "on_error": {"retries": 3, "backoff": "1ms", "then": "dead_letter"},
        },
        "left": {"call": "chaos:Count", "inputs": "map", "with": counts[0]},
        "right": {"call": "chaos:Count", "inputs": "map", "with": counts[1]},
        "bad": {
            "use": "jsonl.write",
            "inputs": "map.errors",
            "with": {"path": str(folder / "bad.jsonl")},
        },
    }
    file = folder / "chaos.yaml"
    file.write_text(json.dumps({"stages": stages}))
    return file


def run(folder: Path, seed: int, *, items: int, seconds: float, every_s: float = 0.1) -> Chaos:
    """One run; processes are killed while items flow."""
    events = folder / "events.jsonl"
    command = [sys.executable, "-m", "pipeflow", "run", str(write(folder, items, seconds))]
    options = ["--quiet", "--report", str(folder / "report.json"), "--events", str(events)]
    dice, kills = random.Random(seed), 0
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        ended = os.pidfd_open(process.pid)
        until = math.inf  # the time begins when there is somebody to kill
        while time.monotonic() < until and not select.select([ended], [], [], every_s)[0]:
            pids = living(events)
            if pids:
                until = min(until, time.monotonic() + seconds)
                kills += kill(dice.choice(pids))
        os.close(ended)
        said = process.communicate()[1]
    return Chaos(
        code=process.returncode,
        said=said,
        kills=kills,
        report=json.loads((folder / "report.json").read_text()),
        sinks=[
            json.loads(file.read_text()) if file.exists() else {"count": 0, "total": 0, "wrong": []}
            for file in (folder / "left.json", folder / "right.json")
        ],
        letters=[json.loads(line) for line in (folder / "bad.jsonl").read_text().splitlines()],
    )


def living(events: Path) -> list[int]:
    """The processes that run the code of the map now, one for each replica."""
    found: dict[int, int] = {}
    for line in events.read_text().splitlines() if events.exists() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # it is being written
        if event.get("stage") == "map":
            match event["event"]:
                case "worker_ready":
                    found[event["replica"]] = event["pid"]
                case "worker_died":
                    found.pop(event["replica"], None)
                case _:
                    pass
    return sorted(found.values())


def kill(pid: int) -> bool:
    """SIGKILL; whether it was still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def main() -> int:
    """Some seeds in a row; how many went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            chaos = run(Path(folder), seed, items=options.items, seconds=options.seconds)
        problems = chaos.problems(options.items)
        bad += bool(problems)
        retried = chaos.report["stages"][1]["retried"]
        print(
            f"seed {seed}: {chaos.kills} kills, {retried} items tried again,"
            f" {len(chaos.letters)} dead letters, {time.monotonic() - began:.0f} s:"
            f" {'; '.join(problems) or 'all there, in order'}",
            flush=True,
        )
    return bad


if __name__ == "__main__":
    sys.exit(main())
