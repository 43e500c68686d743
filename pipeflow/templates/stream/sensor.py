"""The stages of pipeline.yaml: a source that takes its time, and a stream function."""

import math
import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta

import pipeflow


def readings(count: int, every: timedelta) -> Iterator[float]:
    """Give temperatures as a sensor would; put the one that you have here."""
    for number in range(count):
        if pipeflow.stopping():
            return  # Ctrl-C: what was read so far is worked up, and the run ends
        yield round(20 + 5 * math.sin(number / 5), 2)
        time.sleep(every.total_seconds())


@pipeflow.stream
def rolling_mean(values: Iterator[float], window: int) -> Iterator[float]:
    """Give the mean of the last readings, for each that comes."""
    last: deque[float] = deque(maxlen=window)
    for value in values:
        last.append(value)
        yield round(sum(last) / len(last), 2)
