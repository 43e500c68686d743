"""mapreduce.yaml counts what one Counter counts; all texts of Python with PIPEFLOW_LONG=1."""

from __future__ import annotations

import csv
import os
import re
import sysconfig
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Example, Finished, Run

pytestmark = pytest.mark.processes

PIPELINE: Final = Path(__file__).parents[2] / "pipelines/mapreduce.yaml"


def counted(files: int | None) -> Counter[str]:
    """The words of the first so many texts, in one process and one go."""
    library = Path(sysconfig.get_path("stdlib"))
    found = sorted(file for pattern in ("*.py", "*.txt") for file in library.rglob(pattern))
    counts: Counter[str] = Counter()
    for file in [file for file in found if file.is_file()][:files]:
        text = file.read_bytes().decode("utf-8", "replace").lower()
        counts.update(re.findall(r"[^\W\d_]+", text))
    return counts


def written(run: Finished) -> list[tuple[str, int]]:
    with (run.folder / "out/words.csv").open(encoding="utf-8", newline="") as text:
        return [(row["word"], int(row["times"])) for row in csv.DictReader(text)]


def test_words_are_counted_exactly_over_several_processes(example: Example) -> None:
    run = example("mapreduce", "local")

    expected = counted(300)
    assert len(expected) > 5000
    assert dict(written(run)) == expected
    assert len(written(run)) == len(expected)  # no word was counted in two places
    assert len({worker["pid"] for worker in run.stage("reduce")["workers"]}) == 3


def test_the_table_shows_the_words_that_are_most_frequent(example: Example) -> None:
    run = example("mapreduce", "local")

    shown = [line.split()[1:] for line in run.stdout.splitlines()[2:]]
    assert [int(times) for _, times in shown] == [n for _, n in counted(300).most_common(10)]


def test_words_come_in_the_same_order_in_one_process(example: Example) -> None:
    local, inline = example("mapreduce", "local"), example("mapreduce", "inline")

    assert written(local) == written(inline)
    assert local.stdout == inline.stdout


@pytest.mark.skipif(
    "PIPEFLOW_LONG" not in os.environ, reason="takes a minute or so: PIPEFLOW_LONG=1 runs it"
)
@pytest.mark.timeout(600)
def test_all_texts_of_python_are_counted_exactly(run: Run, tmp_path: Path) -> None:
    done = run(PIPELINE, "--param", "files=0", folder=tmp_path, longest_s=500)

    assert done.code == 0, done.stderr
    assert Counter(dict(written(done))) == counted(None)
