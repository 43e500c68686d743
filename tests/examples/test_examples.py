"""Every example runs as it is, by both executors, and tells what it should."""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pipeflow.cli.main import main
from tests.cli.fakes import Theatre

if TYPE_CHECKING:
    from tests.examples.conftest import Example, Run

pytestmark = pytest.mark.processes

ROOT: Final = Path(__file__).parents[2]
EXECUTORS: Final = ("local", "inline")
#: Those that come to an end of their own.
FINITE: Final = (
    *("hello", "quickstart", "photos", "polyglot", "nested"),
    *("spectrogram", "mapreduce", "features"),
)
FRAMES: Final = (("resize", ""), ("edges", ""), ("sheet", "photo"), ("sheet", "edges"))


@pytest.fixture(autouse=True)
def _needs_photographs(request: pytest.FixtureRequest) -> None:
    if "features" in request.node.name and find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed: pip install '.[parquet]'")
    if "photos" in request.node.name and (find_spec("skimage") is None or find_spec("PIL") is None):
        pytest.skip("scikit-image and pillow are not installed: pip install '.[examples]'")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", FINITE)
def test_an_example_succeeds_with_a_balanced_ledger(
    name: str, executor: str, example: Example
) -> None:
    run = example(name, executor)

    assert (run.code, run.report["run"]["status"]) == (0, "succeeded"), run.stderr
    assert run.report["ledger"] == {"balanced": True, "findings": []}
    assert run.report["errors"] == []
    assert "warning" not in run.stderr.lower()


@pytest.mark.parametrize("name", FINITE)
def test_every_worker_of_an_example_has_a_process_of_its_own(name: str, example: Example) -> None:
    run = example(name, "local")

    pids = [worker["pid"] for stage in run.report["stages"] for worker in stage["workers"]]
    assert all(stage["workers"] for stage in run.report["stages"])
    assert len(pids) == len(set(pids))
    assert run.pid not in pids


def test_hello_prints_both_sources_and_the_list_as_one_item(example: Example) -> None:
    run = example("hello", "local")

    lines = run.stdout.splitlines()
    assert [line for line in lines if line.isdigit()] == ["1", "2", "3", "4", "5"]
    assert [line for line in lines if line.isalpha()] == ["a", "b", "c", "d", "e"]
    assert lines.count("[42, None, 'hello']") == 1
    assert len(lines) == 11
    assert run.edge("show-mixture")["transport"] == "queue"


def test_hello_prints_the_same_lines_in_one_process(example: Example) -> None:
    local, inline = example("hello", "local"), example("hello", "inline")

    assert sorted(inline.stdout.splitlines()) == sorted(local.stdout.splitlines())


def test_quickstart_prints_the_same_table_byte_for_byte(example: Example) -> None:
    local, inline = example("quickstart", "local"), example("quickstart", "inline")

    assert local.stdout == inline.stdout
    assert re.search(r"\bself\b", local.stdout)
    assert len(re.findall(r"^\W*\d+\W+[A-Za-z_]\w*\W+\d+", local.stdout, re.MULTILINE)) == 20


def test_quickstart_reads_the_whole_library(example: Example) -> None:
    run = example("quickstart", "local")

    assert run.stage("names")["processed"] == run.stage("library")["emitted"]["out"]
    assert run.stage("count")["received"] > 500  # over 1,000 where Python came with its tests


def test_polyglot_counts_as_python_does_in_both_executors(example: Example) -> None:
    local, inline = example("polyglot", "local"), example("polyglot", "inline")

    counted: Counter[str] = Counter()
    for file in Path(sysconfig.get_path("stdlib")).glob("*.py"):
        for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
            if re.match(r"(import|from) ", line):
                counted[re.split("[.,;]", line.split()[1])[0]] += 1
    del counted[""]
    ranked = sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:15]
    assert [line.split() for line in local.stdout.splitlines()] == [
        [str(count), name] for name, count in ranked
    ]
    assert inline.stdout == local.stdout


def test_photos_travel_in_shared_memory(example: Example) -> None:
    run = example("photos", "local")

    for to, name in FRAMES:
        edge = run.edge(to, name)
        assert edge["bytes_shared"] >= 16 * 32 * 1024
        assert edge["bytes_copied"] < 0.01 * edge["bytes_shared"]


def test_photos_make_the_same_contact_sheet_in_one_process(example: Example) -> None:
    local, inline = example("photos", "local"), example("photos", "inline")

    assert local.stdout == inline.stdout == "16 photographs on out/photos.png\n"
    sheets = [(run.folder / "out/photos.png").read_bytes() for run in (local, inline)]
    assert sheets[0] == sheets[1]
    assert sheets[0].startswith(b"\x89PNG")


def test_the_pipeline_of_the_readme_works_when_copied(run: Run, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for language, name in (("python", "texts.py"), ("yaml", "texts.yaml")):
        block = re.search(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(block.group(1), encoding="utf-8")
    (tmp_path / "broken.py").write_bytes(b"\xff\xfe\xfd")

    result = run(tmp_path / "texts.yaml", folder=tmp_path)

    assert result.code == 0, result.stderr
    header, row = (tmp_path / "out/words.csv").read_text(encoding="utf-8").splitlines()
    assert header == "file,words,longest"
    assert row.split(",")[0].endswith("texts.py")
    assert "UnicodeDecodeError" in (tmp_path / "out/broken.jsonl").read_text(encoding="utf-8")
    assert result.stage("measure")["dead_lettered"] == 1


def test_the_tests_in_the_examples_pass() -> None:
    theatre = Theatre()

    code = main(["test", str(ROOT / "pipelines")], theatre.world)

    assert (code, theatre.out.count("PASSED"), theatre.err) == (0, 16, "")
