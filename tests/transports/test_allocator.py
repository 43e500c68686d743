"""Freed memory stays with the worker, so that the next array costs no new pages."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")

#: Minor faults of each of 20 arrays of 40 MiB, made and dropped.
FAULTS = """
import resource
import numpy as np
from pipeflow.transports.allocator import keep_freed_memory

kept = keep_freed_memory()
np.ones(40 * 2**20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(40 * 2**20, np.uint8)
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def faults(**environment: str) -> tuple[str, float]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env={**ours, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kept, number = done.stdout.split()
    return kept, float(number)


@GLIBC
def test_an_array_is_made_where_the_last_one_was() -> None:
    kept, number = faults()

    assert kept == "True"
    assert number < 1


@GLIBC
def test_who_has_set_the_allocator_knows_better() -> None:
    kept, number = faults(MALLOC_TRIM_THRESHOLD_="131072")

    assert kept == "False"
    assert number > 1
