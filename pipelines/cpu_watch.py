"""The stages of cpu_watch.yaml: sample the load of this machine, smooth it, tell what changed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pipeflow

INTERVAL_S = 0.1
COUNTERS = Path("/proc/stat")  # Linux: clock ticks of all cores since the start, by what they did


def load() -> Iterator[float]:
    """Tell how busy the machine is, in per cent of all its cores, ten times a second."""
    busy_before, total_before = ticks()
    while not pipeflow.stopping():
        time.sleep(INTERVAL_S)
        busy, total = ticks()
        if total > total_before:
            yield 100 * (busy - busy_before) / (total - total_before)
        busy_before, total_before = busy, total


def ticks() -> tuple[float, float]:
    """Ticks in which the cores worked, and all ticks, since some moment in the past."""
    if COUNTERS.exists():
        # "cpu user nice system idle iowait irq softirq steal ...": idle and iowait are rest.
        fields = [int(field) for field in COUNTERS.read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4], sum(fields)
    # Elsewhere: the mean number of running processes over the last minute, as a stand-in.
    now, cores = time.monotonic(), os.cpu_count() or 1
    return now * min(1.0, os.getloadavg()[0] / cores), now


@pipeflow.stream
def rolling_mean(loads: Iterator[float], window: int) -> Iterator[float]:
    """Smooth the samples: the mean of the last ``window`` of them."""
    recent: deque[float] = deque(maxlen=window)
    for value in loads:
        recent.append(value)
        yield sum(recent) / len(recent)


@pipeflow.stream
def alerts(means: Iterator[float], above: float) -> Iterator[str]:
    """Say how things stand at first, and then whenever they change."""
    was_busy = None
    for mean in means:
        busy = mean >= above
        if busy is not was_busy:
            yield f"{time.strftime('%H:%M:%S')}  {'BUSY' if busy else 'calm'}  {mean:5.1f} %"
            was_busy = busy
