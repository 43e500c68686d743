"""``python -m tests.mutations [WORD ...]``: break the source on purpose, and see the tests notice.

Works on a copy of what git knows of, so nothing here is touched. First the tests must pass as they
are; then each mutation must turn one red. With words only the mutations whose names have one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent.parent
#: A run that hangs is noticed as well; the tests have limits of their own, which are shorter.
LONGEST_S = 240.0
#: Exit status of pytest: some test failed.
_RED = 1


class Outcome(Enum):
    """What became of a mutation."""

    NOTICED = "noticed"
    HUNG = "noticed (it hung)"
    MISSED = "MISSED"
    BROKEN = "BROKEN: the tests did not run"
    STALE = "STALE: its text is not in the source once"


def main(words: Sequence[str]) -> int:
    """Try the mutations; 0 when all were noticed."""
    chosen = [each for each in MUTATIONS if not words or any(word in each.name for word in words)]
    if not chosen:
        print("no mutation has such a name", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="pipeflow-mutations-") as folder:
        copy = Path(folder)
        copy_source(copy)
        compile_source(copy)
        suites = {(*each.tests, each.only): each for each in chosen}
        red = [each for each in suites.values() if run_tests(copy, each) != 0]
        for each in red:
            print(f"its tests fail as they are: {each.name}")
        if red:
            return 1
        outcomes = [told(copy, each) for each in chosen]
    missed = sum(outcome not in {Outcome.NOTICED, Outcome.HUNG} for outcome in outcomes)
    print(f"{len(chosen) - missed} of {len(chosen)} mutations were noticed")
    return 1 if missed else 0


def copy_source(folder: Path) -> None:
    """Copy what git knows of, as it is now."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():  # else it is deleted, and git has not heard of it
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def compile_source(folder: Path) -> None:
    """Compile what is compiled when pipeflow is installed."""
    command = [sys.executable, str(Path(".ci", "hatch_compile.py"))]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)


def told(folder: Path, mutation: Mutation) -> Outcome:
    """Try one, and print a line of the table."""
    began = time.monotonic()
    outcome = attempt(folder, mutation)
    print(f"{mutation.name:<62} {outcome.value:<18} {time.monotonic() - began:5.1f} s", flush=True)
    return outcome


def attempt(folder: Path, mutation: Mutation) -> Outcome:
    """Break the source, run the tests, and mend it."""
    file = folder / "pipeflow" / mutation.file
    text = file.read_text("utf-8")
    if text.count(mutation.old) != 1:
        return Outcome.STALE
    compiled = file.suffix in {".c", ".h"}
    file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    try:
        if compiled:
            compile_source(folder)
        status = run_tests(folder, mutation)
    finally:
        file.write_text(text, "utf-8")
        if compiled:
            compile_source(folder)
    match status:
        case None:
            return Outcome.HUNG
        case 0:
            return Outcome.MISSED
        case _ if status == _RED:
            return Outcome.NOTICED
        case _:
            return Outcome.BROKEN


def run_tests(folder: Path, mutation: Mutation) -> int | None:
    """Exit status of pytest over its tests; ``None``: they were cut off."""
    program = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    options = ["-k", mutation.only] if mutation.only else []
    # The copy comes before the package that is installed, in the processes of the runs as well.
    environ = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [*program, *mutation.tests, *options],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
