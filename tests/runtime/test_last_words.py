from __future__ import annotations

import os
from pathlib import Path

import pipeflow
from pipeflow.runtime.last_words import ROOM, LastWords, stack_of

OURS = Path(pipeflow.__file__).parent / "runtime"

DUMP = f"""\
Fatal Python error: Segmentation fault

Current thread 0x00007fb48863eb80 (most recent call first):
  File "/lib/python3/ctypes/__init__.py", line 519 in string_at
  File "/home/me/steps.py", line 7 in step
  File "{OURS}/loops/rows.py", line 177 in call_into
  File "{OURS}/launch/boot.py", line 82 in start
  File "/home/me/starts_a_run.py", line 3 in <module>

Extension modules: numpy._core (total: 1)
"""


def test_a_stack_is_told_as_a_traceback_of_the_users_frames() -> None:
    assert stack_of(DUMP) == (
        "Stack (most recent call last):\n"
        '  File "/home/me/steps.py", line 7, in step\n'
        '  File "/lib/python3/ctypes/__init__.py", line 519, in string_at\n'
        "Fatal Python error: Segmentation fault\n"
    )


def test_of_several_stacks_the_newest_is_told() -> None:
    asked = 'Current thread 0x1 (most recent call first):\n  File "/a.py", line 1 in f\n'

    told = stack_of(asked + asked.replace("a.py", "b.py"))

    assert told == 'Stack (most recent call last):\n  File "/b.py", line 1, in f\n'


def test_where_no_frame_is_the_users_ours_are_better_than_nothing() -> None:
    users = ("/lib/python3", "/home/me/steps.py")
    dump = "\n".join(line for line in DUMP.splitlines() if not any(u in line for u in users))

    assert "in call_into" in stack_of(dump)
    assert "starts_a_run.py" not in stack_of(dump)


def test_who_has_said_nothing_has_no_stack() -> None:
    assert stack_of("a line of something else") == ""


def test_what_was_read_is_not_read_again_and_workers_do_not_mix() -> None:
    fd = os.memfd_create("test")
    try:
        os.truncate(fd, 2 * ROOM)
        words = LastWords(fd)
        os.pwrite(fd, b"first", ROOM)
        first = words.take(1), words.take(0)
        os.pwrite(fd, b"second", ROOM + 5)
        second = words.take(1), words.take(1)
    finally:
        os.close(fd)

    assert (first, second) == (("first", ""), ("second", ""))
