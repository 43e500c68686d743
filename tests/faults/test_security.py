"""The threats: a row of the catalogue in each name. Which row is kept where: ``docs/faults.md``."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import pipeflow
from pipeflow.errors import InvalidPipeline
from tests.faults.commands import DEADLINE_S, PIPEFLOW, write
from tests.faults.commands import pipeflow as command

pytestmark = pytest.mark.processes

ROOT = Path(pipeflow.__file__).parent.parent
SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas" / "pipeline.schema.json").read_text("utf-8"))
TAGS = (
    "!!python/object/apply:os.system ['touch canary']",
    "!!python/object/new:os.system ['touch canary']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:subprocess.Popen {args: touch canary}",
    "!!binary aGVsbG8=",
    "!canary x",
)
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: As a text in double quotes of YAML has them: a colour, a turn of direction, a bell.
HOSTILE = "\\e[31mred\\u202Eevil\\a"


# ----------------------------------------------------------------- the file, and looking at it


@pytest.mark.parametrize("tag", TAGS)
def test_s01_a_tag_is_an_error_and_makes_nothing(
    tmp_path: Path, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pipeline.yaml"
    file.write_text(f"stages:\n  a: {{use: range, with: {{stop: 1}}}}\nx-own: {tag}\n")

    with pytest.raises(InvalidPipeline) as raised:
        pipeflow.load(file)

    assert {finding.code for finding in raised.value.findings} == {"tag"}
    assert [each.name for each in tmp_path.iterdir()] == ["pipeline.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
                for old, new in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            id="s04 a bomb of aliases",
        ),
        *(pytest.param("a: " + "[" * 10**n, id=f"s05 10^{n} brackets") for n in (2, 3, 5)),
        pytest.param("a: " + "[" * 10**6, id="s05 s08 more than a megabyte"),
        pytest.param("a: " + "7" * 5000, id="s09 a number of 5000 digits"),
    ],
)
def test_s04_s05_s08_s09_a_file_that_would_blow_up_is_refused_at_once(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(text + "\n")
    began = time.process_time()

    with pytest.raises(InvalidPipeline) as raised:
        pipeflow.load(file)

    assert time.process_time() - began < 1.0
    assert raised.value.findings[0].at.file == str(file)


@pytest.mark.parametrize("kind", ["/dev/zero", "a pipe", "a folder", "a gigabyte of nothing"])
def test_s08_only_files_of_sane_size_are_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "pipeline.yaml"
    match kind:
        case "a pipe":
            os.mkfifo(file)
        case "a folder":
            file.mkdir()
        case "a gigabyte of nothing":
            file.touch()
            os.truncate(file, 2**30)
        case device:
            file = Path(device)

    done = command("validate", file, before=["prlimit", f"--as={2**29}"])

    assert done.returncode == 2
    # A folder stands for the pipelines in it, and there are none.
    told = done.stderr if kind == "a folder" else done.stdout
    assert ("that is a .yaml" if kind == "a folder" else "error[") in told
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../b", "a\\0b", ".", "x" * 300])
def test_s10_a_stage_name_is_no_path(tmp_path: Path, name: str) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(f'stages:\n  "{name}": {{use: range, with: {{stop: 1}}}}\n')

    with pytest.raises(InvalidPipeline):
        pipeflow.load(file)


def test_s06_nothing_is_fetched_whatever_the_file_refers_to(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        "# yaml-language-server: $schema=http://127.0.0.1:9/a.json\n"
        '"$schema": http://127.0.0.1:9/b.json\n'
        '"$ref": http://127.0.0.1:9/c.json\n'
        "params: {a: {$ref: 'http://127.0.0.1:9/d.json'}}\n"
        "stages: {a: {use: range, with: {stop: 1, $ref: 'http://127.0.0.1:9/e.json'}, colour: 1}}\n"
    )
    program = """
import json, sys
seen = []
def watch(event, args):
    if event.startswith(("socket.", "urllib.", "http.")):
        seen.append(event)
sys.addaudithook(watch)
from pipeflow.cli.main import main
code = main(["validate", sys.argv[1]])
print(json.dumps([code, seen, "jsonschema" in sys.modules]), file=sys.stderr)
"""

    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )

    assert json.loads(done.stderr.splitlines()[-1]) == [2, [], True]


def patterns(node: Any) -> Iterator[str]:
    match node:
        case dict():
            for key, value in node.items():
                if key in {"defaultSnippets", "examples", "default"}:
                    continue  # files, or parts of such
                if key == "pattern" and isinstance(value, str):
                    yield value
                elif key == "patternProperties" and isinstance(value, dict):
                    yield from value
                yield from patterns(value)
        case list():
            for each in node:
                yield from patterns(each)
        case _:
            return


@pytest.mark.parametrize("pattern", sorted(set(patterns(SCHEMA))))
def test_s07_no_pattern_of_the_schema_can_be_made_to_run_long(pattern: str) -> None:
    attacks = [char * 200 + end for char in "a0-_. \\{$" for end in ("", "!", "\0", "${")]
    judge = Draft7Validator({"type": "string", "pattern": pattern})
    began = time.process_time()

    for attack in attacks:
        judge.is_valid(attack)

    assert time.process_time() - began < 1.0


# ------------------------------------------------------------------------ secrets, terminals

LEAKY = """
import pipeflow

def source(token):
    yield 1
    yield 2

def use(item, token, header):
    print("printing", token)
    pipeflow.log.warning("logging " + token)
    error = ValueError("bad " + header)
    error.add_note("note " + token)
    raise error from KeyError(token)
"""


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("policy", ["stop", "skip", "dead_letter"])
def test_s11_a_secret_is_in_nothing_that_is_written(
    tmp_path: Path, policy: str, executor: str
) -> None:
    (tmp_path / "leaky.py").write_text(LEAKY)
    letters = "  letters: {use: jsonl.write, inputs: use.errors, with: {path: letters.jsonl}}\n"
    (tmp_path / "pipeline.yaml").write_text(
        "params:\n"
        '  token: {type: string, secret: true, default: "${env.TOKEN}"}\n'
        "stages:\n"
        '  source: {call: "leaky:source", with: {token: "${params.token}"}}\n'
        "  use:\n"
        "    call: leaky:use\n"
        "    inputs: source\n"
        f"    on_error: {policy}\n"
        '    env: {AUTH: "${params.token}"}\n'
        '    with: {token: "${params.token}", header: "Bearer ${params.token}"}\n'
        + (letters if policy == "dead_letter" else "")
    )
    told = ""

    records = ["--report", "r.json", "--events", "e.json"]
    for arguments in (
        ["run", "pipeline.yaml", "--executor", executor, *records],
        *(["show"], ["plan"], ["plan", "--format", "json"], ["graph"], ["validate"], ["schema"]),
    ):
        name = [] if "pipeline.yaml" in arguments else ["pipeline.yaml"]
        done = command(*arguments, *name, folder=tmp_path, environ={"TOKEN": "CANARY 'x' \\"})
        told += done.stdout + done.stderr
    told += "".join(file.read_text() for file in tmp_path.glob("*.json*"))

    assert "CANARY" not in told
    assert "***" in told


LINES = """
import pipeflow

def source(key):
    yield "x" * 190 + key + "y" * 100
    yield {"a": ["x" * 50 + key + "y" * 100]}

def use(item, key):
    print(key)
    print({"key": key})
    pipeflow.log.warning(key)
    raise ValueError(key)
"""


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("secret", ["CANARY-1\nCANARY-2 é\n}", "CANARY-" * 20])
def test_s11_a_secret_of_many_lines_or_characters_is_hidden_piece_by_piece(
    tmp_path: Path, executor: str, secret: str
) -> None:
    stages: dict[str, Any] = {
        "source": {"call": "lines:source", "with": {"key": "${params.key}"}},
        "use": {
            "call": "lines:use",
            "inputs": "source",
            "with": {"key": "${params.key}"},
            "on_error": "skip",
        },
        "wrong": {"use": "take", "inputs": "source", "with": {"n": "${params.key}"}},
    }
    file = write(tmp_path, stages, {"lines": LINES})
    whole = json.loads(file.read_text())
    whole["params"] = {"key": {"type": "string", "secret": True, "default": "${env.KEY}"}}
    file.write_text(json.dumps(whole))
    good = ["--set", "stages.wrong.with.n=1", "--executor", executor]
    runs: list[list[str | Path]] = [
        ["validate", file],
        ["run", file, *good, "--report", "r.json", "--events", "e.json"],
        ["run", file, *good, "--set", "stages.use.on_error=stop", "--report", "s.json"],
        ["run", file, *good, "--until", "source", "--take", "2"],
    ]
    told = ""

    for arguments in runs:
        done = command(*arguments, folder=tmp_path, environ={"KEY": secret})
        told += done.stdout + done.stderr
    told += "".join((tmp_path / name).read_text() for name in ("r.json", "e.json", "s.json"))

    assert "CANARY" not in told
    assert "got a secret" in told
    assert told.count("***") >= 12


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_s11_a_program_that_runs_a_pipeline_gets_no_secret_in_its_report_and_events(
    tmp_path: Path, executor: str, policy: str
) -> None:
    (tmp_path / "leaky.py").write_text(LEAKY.replace('print("printing", token)', "pass"))
    (tmp_path / "pipeline.yaml").write_text(
        "params: {token: {type: string, secret: true}}\n"
        "stages:\n"
        '  source: {call: "leaky:source", with: {token: ""}}\n'
        "  use:\n"
        "    call: leaky:use\n"
        "    inputs: source\n"
        f"    on_error: {policy}\n"
        '    with: {token: "${params.token}", header: "Bearer ${params.token}"}\n'
    )
    events: list[object] = []

    report = pipeflow.run(
        tmp_path / "pipeline.yaml",
        params={"token": "CANARY"},
        executor=executor,
        listener=events.append,
    )

    failed = [each for each in events if type(each).__name__ in {"ItemFailed", "RunFailed"}]
    assert len(report.errors) + len(failed) == (3 if policy == "stop" else 2)
    assert "CANARY" not in repr((report, failed))


def test_s12_nothing_that_a_terminal_would_obey_is_shown(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(
        f'description: "{HOSTILE}"\n'
        f'params: {{a: {{type: string, default: "{HOSTILE}", description: "{HOSTILE}"}}}}\n'
        "stages:\n"
        f'  source: {{use: range, with: {{stop: 3}}, description: "{HOSTILE}"}}\n'
        f"""  make: {{use: map, inputs: source, with: {{expr: "str(item) + '{HOSTILE}'"}}}}\n"""
        "  fail:\n"
        "    use: map\n"
        "    inputs: make\n"
        """    with: {expr: "(print(item), 1 / 0 if '2' in item else item)"}\n"""
        "  end: {use: 'null', inputs: fail}\n"
    )
    hostile = "\x1b[31m\u202e"
    arguments = [
        *(["show", "pipeline.yaml"], ["plan", "pipeline.yaml"], ["graph", "pipeline.yaml"]),
        *(["graph", "pipeline.yaml", "--format", kind] for kind in ("mermaid", "dot")),
        *(["run", "pipeline.yaml"], ["run", "pipeline.yaml", "--executor", "inline"]),
        *(["run", "pipeline.yaml", "--until", hostile], ["run", "pipeline.yaml", hostile]),
        *([hostile], ["explain", hostile], ["stages", hostile], ["validate", hostile + ".yaml"]),
        *(["run", "pipeline.yaml", "--executor", hostile],),
        *(["run", "pipeline.yaml", f"--{name}={hostile}/x"] for name in ("report", "events")),
        *(["run", "pipeline.yaml", f"--{name}={hostile}=1"] for name in ("param", "set")),
    ]

    for words in arguments:
        done = command(*words, folder=tmp_path)

        assert CONTROLS.findall(done.stdout + done.stderr) == [], words


def test_s12_show_writes_what_it_escapes_so_that_it_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        'stages: {a: {use: range, with: {stop: 1}, description: "plain \\u202Eturned"}}\n'
    )
    shown = tmp_path / "shown.yaml"

    shown.write_text(command("show", file).stdout)

    assert pipeflow.load(shown).stages[0].description == "plain \u202eturned"


# ------------------------------------------------------------------------------- a run

LOOK = """
import json
import os
import subprocess
from pathlib import Path

def look(item, note):
    if item:
        return
    names = sorted(os.listdir("/dev/shm"))
    family, pid = [], os.getpid()
    group = [int(each) for each in os.listdir("/proc") if each.isdigit()]
    mark = os.environ["MARK"].encode()
    for pid in group:
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                family.append(pid)
        except OSError:
            pass
    sockets = set()
    for pid in family:
        try:
            ends = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        sockets |= {end[8:-1] for end in ends if end.startswith("socket:")}
    net = []
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw"):
        for line in Path(f"/proc/self/net/{kind}").read_text().splitlines()[1:]:
            if line.split()[9] in sockets:
                net.append(kind)
    named = [
        line.split()[7:]
        for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]
        if line.split()[6] in sockets and line.split()[7:]
    ]
    child = subprocess.run(
        ["ls", "/proc/self/fd"], stdout=subprocess.PIPE, text=True, check=True, close_fds=False
    )
    Path(note).write_text(
        json.dumps(
            {
                "family": len(family),
                "sockets": len(sockets),
                "net": net,
                "named": named,
                "shm": names,
                "child": child.stdout.split(),
            }
        )
    )
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_s13_s15_s26_a_run_listens_nowhere_names_nothing_and_hands_nothing_on(
    tmp_path: Path, method: str
) -> None:
    note = tmp_path / "note.json"
    stages = {
        "source": {"use": "range", "with": {"stop": 100_000}},
        "pass": {"use": "map", "inputs": {"from": "source", "transport": "queue"}},
        "look": {"call": "look:look", "inputs": "pass", "with": {"note": str(note)}},
    }
    stages["pass"]["with"] = {"expr": "item"}
    file = write(tmp_path, stages, {"look": LOOK})

    done = command("run", file, "--start-method", method, environ={"MARK": f"mark-{tmp_path}"})

    assert done.returncode == 0, done.stderr
    seen = json.loads(note.read_text())
    # A fresh interpreter does not show in /proc what the command was started with.
    assert seen["family"] >= (2 if method == "spawn" else 4)
    assert seen["sockets"] >= 1
    assert (seen["net"], seen["named"]) == ([], [])
    assert [name for name in seen["shm"] if name.startswith(("pipeflow", "psm_", "sem."))] == []
    assert len(seen["child"]) == 4, seen["child"]  # three standard ones, and that of the listing


def test_s14_what_comes_from_a_file_is_never_unpickled(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickled = f"cos\nsystem\n(S'touch {canary}'\ntR."
    (tmp_path / "items.jsonl").write_text(json.dumps(pickled) + "\n" + json.dumps({"a": pickled}))
    (tmp_path / "items.csv").write_text(f'a\n"{pickled}"\n')
    (tmp_path / "items.txt").write_text(pickled)
    stages: dict[str, Any] = {
        kind: {"use": use, "with": {"path": f"items.{kind}"}}
        for kind, use in (("jsonl", "jsonl.read"), ("csv", "csv.read"), ("txt", "lines"))
    }
    stages["end"] = {"use": "null", "inputs": list(stages)}

    done = command("run", write(tmp_path, stages), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert not canary.exists()


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_s24_modules_of_the_current_folder_are_nobodys(tmp_path: Path, method: str) -> None:
    folder, here = tmp_path / "flow", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    for name in ("yaml", "json", "numpy", "networkx", "rich", "jsonschema", "pickle", "socket"):
        (here / f"{name}.py").write_text(f"open({str(here / 'canary')!r}, 'w').close()\n")
    file = write(folder, {"source": {"use": "range", "with": {"stop": 3}}})
    script = Path(sys.executable).with_name("pipeflow")

    for words in (["run", str(file), "--start-method", method], ["validate", str(file)]):
        done = subprocess.run(
            [str(script), *words], cwd=here, capture_output=True, check=False, timeout=DEADLINE_S
        )
        assert done.returncode == 0, done.stderr

    assert not (here / "canary").exists()


def test_s25_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "out.jsonl.partial").symlink_to(precious)
    stages = {
        "source": {"use": "range", "with": {"stop": 3}},
        "writer": {"use": "jsonl.write", "inputs": "source", "with": {"path": "out.jsonl"}},
    }

    done = command("run", write(tmp_path, stages), folder=tmp_path)

    assert done.returncode == 1
    assert "out.jsonl.partial" in done.stderr
    assert precious.read_text() == "kept"


def test_s25_what_is_written_aside_has_a_name_that_nobody_can_foresee(tmp_path: Path) -> None:
    stages = {"source": {"use": "range", "with": {"stop": 3}}}
    report = tmp_path / "r.json"

    done = command("run", write(tmp_path, stages), "--report", report)

    assert done.returncode == 0
    assert stat.S_ISREG(report.stat().st_mode)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pipeline.yaml", "r.json"]
    assert PIPEFLOW[0] == sys.executable
