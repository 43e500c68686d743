from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeflow.runtime.machine import (
    Roots,
    free_processes,
    is_asleep,
    is_stopped,
    oom_kills,
    read_machine,
)

MIB = 2**20


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A machine with 1,000 MiB free and no control group."""
    roots = Roots(tmp_path / "proc", tmp_path / "cgroup")
    write(roots.proc / "meminfo", f"MemTotal: 9 kB\nMemAvailable: {1000 * 1024} kB\n")
    write(roots.proc / "self" / "cgroup", "0::/app/run\n")
    return roots


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_limits_the_machine_is_what_it_is(roots: Roots) -> None:
    machine = read_machine(roots)

    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory == 1000 * MIB
    assert machine.descriptors >= 64


def test_a_quota_of_version_2_bounds_the_cores(roots: Roots) -> None:
    write(roots.cgroup / "app" / "cpu.max", "150000 100000\n")
    write(roots.cgroup / "app" / "run" / "cpu.max", "max 100000\n")

    assert read_machine(roots).cores == 1


def test_a_quota_of_version_1_bounds_the_cores(roots: Roots) -> None:
    write(roots.proc / "self" / "cgroup", "4:cpu,cpuacct:/job\n")
    write(roots.cgroup / "cpu" / "job" / "cpu.cfs_quota_us", "50000\n")
    write(roots.cgroup / "cpu" / "job" / "cpu.cfs_period_us", "100000\n")

    assert read_machine(roots).cores == 1


def test_the_tightest_group_bounds_the_memory_and_its_cache_counts_as_free(roots: Roots) -> None:
    write(roots.cgroup / "app" / "memory.max", f"{500 * MIB}\n")
    write(roots.cgroup / "app" / "memory.current", f"{300 * MIB}\n")
    write(roots.cgroup / "app" / "memory.stat", f"anon 1\ninactive_file {50 * MIB}\n")

    assert read_machine(roots).memory == 250 * MIB


def test_a_group_may_bound_the_processes(roots: Roots) -> None:
    write(roots.cgroup / "app" / "run" / "pids.max", "20\n")
    write(roots.cgroup / "app" / "run" / "pids.current", "5\n")

    free = free_processes(roots)

    assert free is not None
    assert free <= 15


def test_the_counter_of_the_group_tells_of_kills_before_that_of_the_machine(roots: Roots) -> None:
    write(roots.proc / "vmstat", "pgfault 7\noom_kill 9\n")
    assert oom_kills(roots) == 9

    write(roots.cgroup / "app" / "run" / "memory.events", "oom 4\noom_kill 3\n")
    assert oom_kills(roots) == 3


@pytest.mark.parametrize(
    ("letter", "asleep", "stopped"),
    [
        ("S", True, False),
        ("R", False, False),  # it runs, or would if it got a processor
        ("D", False, False),  # it waits for a page, say
        ("T", False, True),
        ("t", False, False),
    ],
)
def test_who_waits_for_a_processor_or_is_stopped_is_not_asleep(
    roots: Roots, letter: str, asleep: bool, stopped: bool
) -> None:
    write(roots.proc / "7" / "stat", f"7 (a R) b) {letter} 1 7 7 0 -1 4194304")

    assert is_asleep(7, roots) is asleep
    assert is_stopped(7, roots) is stopped


def test_a_system_that_does_not_tell_takes_everybody_for_asleep(roots: Roots) -> None:
    assert is_asleep(7, roots)
    assert not is_stopped(7, roots)


def test_this_machine_can_be_read() -> None:
    machine = read_machine()

    assert machine.cores >= 1
    assert machine.memory > 0
