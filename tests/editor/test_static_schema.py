"""What an editor shows with the schema in ``schemas/``, in the real ``yaml-language-server``.

In the texts ``¦`` is the cursor.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from pipeflow.cli.main import main
from pipeflow.spec.language import PARAM_TYPES
from tests.cli.fakes import Theatre
from tests.editor.asking import MODELINE, Offer, completions, hover, opened, told
from tests.editor.conftest import ROOT
from tests.editor.language_server import LanguageServer

NUMBERS: Final = "stages:\n  numbers:\n    use: range\n    with:\n      stop: 3\n"
SHOW: Final = NUMBERS + "  show:\n    use: print\n    inputs: numbers\n"


OFFERS: Final = {
    "an-empty-file": Offer(
        "¦",
        ("stages", "params", "limits", "shared", "tests", "inputs", "outputs", "new pipeline"),
        ("restart", "$schema"),
    ),
    "a-new-stage": Offer(
        NUMBERS + "  ¦",
        (
            *("stage: your own function", "stage: your own source", "stage: an operator"),
            *("stage: a program", "stage: a program, line by line"),
            *("stage: a join of named inputs", "stage: a join by key"),
            *("stage: keeps dead letters", "stage: another file"),
            *("stage: your own function, in batches", "stage: your own async function"),
        ),
    ),
    "an-empty-stage": Offer(
        "stages:\n  a:\n    ¦",
        (
            *("call", "use", "run", "pipeline", "with", "inputs", "batch", "concurrency"),
            *("error policy: dead letters", "error policy: skip"),
        ),
        ("workers", "command", "a stage"),
    ),
    "a-new-test": Offer(SHOW + "tests:\n  ¦", ("test: what goes in, what comes out",)),
    "an-empty-test": Offer(
        SHOW + "tests:\n  a:\n    ¦", ("params", "given", "expect"), ("call", "stages", "count")
    ),
    "an-expectation": Offer(
        SHOW + "tests:\n  a:\n    expect:\n      show:\n        ¦",
        ("count", "contains", "each"),
        ("given", "expect"),
    ),
    "a-half-typed-key": Offer(NUMBERS + "    repl¦", ("replicas",), ("workers",)),
    "operators": Offer("stages:\n  a:\n    use: ¦", ("files", "range", "null", "csv.read")),
    "parameters-of-range": Offer(
        "stages:\n  a:\n    use: range\n    with:\n      ¦",
        ("start", "stop", "step", "range with stop"),
        ("path", "format"),
    ),
    "parameters-of-http.get": Offer(
        "stages:\n  a:\n    use: http.get\n    with:\n      ¦",
        ("url", "format", "every", "headers", "http.get with url"),
        ("path", "stop"),
    ),
    "forms-of-http.get": Offer(
        "stages:\n  a:\n    use: http.get\n    with:\n      format: ¦", ("lines", "jsonl", "bytes")
    ),
    "parameters-of-sqlite.write": Offer(
        SHOW.replace("print", "sqlite.write") + "    with:\n      ¦",
        ("path", "table", "live", "sqlite.write with path, table"),
        ("query",),
    ),
    "parameters-of-print": Offer(
        SHOW + "    with:\n      ¦", ("format", "end"), ("stop", "path", "print with")
    ),
    "words-of-a-parameter": Offer(
        SHOW + "    with:\n      format: ¦", ("auto", "text", "json", "table"), ("true", "null")
    ),
    "policies": Offer(SHOW + "    on_error: ¦", ("stop", "skip", "dead_letter"), ("true",)),
    "partitions": Offer(SHOW + "    partition: ¦", ("balance", "broadcast"), ("true", "null")),
    "joins": Offer(SHOW + "    join: ¦", ("zip", "latest"), ("true", "null")),
    "keys-of-a-join": Offer(
        SHOW + "    join:\n      ¦", ("key", "within"), ("on", "window", "then")
    ),
    "replicas": Offer(SHOW + "    replicas: ¦", ("auto",), ("true", "null")),
    "truth": Offer(SHOW + "    ordered: ¦", ("true", "false"), ("null",)),
    "inputs-of-an-edge": Offer(
        NUMBERS + "  b:\n    use: print\n    inputs:\n      ¦", ("edge: long form", "inputs: named")
    ),
    "settings-of-an-edge": Offer(
        NUMBERS + "  b:\n    use: print\n    inputs:\n      from: numbers\n      ¦",
        ("capacity", "transport", "overflow", "arrays"),
        ("edge: long form", "inputs: named", "items"),
    ),
    "an-entry-of-a-list": Offer(
        NUMBERS + "  b:\n    use: print\n    inputs:\n      - ¦",
        ("from", "capacity"),
        ("edge: long form", "inputs: named"),
    ),
    "transports": Offer(
        NUMBERS + "  b:\n    use: print\n    inputs:\n      from: numbers\n      transport: ¦",
        ("auto", "pipe", "queue"),
    ),
    "resources": Offer(SHOW + "    resources:\n      ¦", ("threads", "memory", "gpus", "spin")),
    "limits": Offer("limits:\n  ¦\n" + NUMBERS, ("memory", "processes")),
    "defaults": Offer("defaults:\n  ¦\n" + NUMBERS, ("replicas", "edge", "env"), ("call",)),
    "edge-defaults": Offer("defaults:\n  edge:\n    ¦\n" + NUMBERS, ("capacity",), ("from",)),
    "a-param": Offer("params:\n  size:\n    ¦\n" + NUMBERS, ("type", "default", "secret")),
    "a-program": Offer(
        NUMBERS + "  b:\n    inputs: numbers\n    run:\n      ¦",
        ("cmd", "mode", "format"),
        ("call", "command", "argv"),
    ),
    "modes-of-a-program": Offer(
        NUMBERS + "  b:\n    inputs: numbers\n    run:\n      cmd: [cat]\n      mode: ¦",
        ("stream", "item", "each"),
        ("true", "null"),
    ),
    "types-of-params": Offer("params:\n  size:\n    type: ¦\n" + NUMBERS, ("integer", "path")),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_editor_offers_what_fits_the_place(server: LanguageServer, offer: Offer) -> None:
    offered = completions(server, offer.text)

    assert set(offer.some) - set(offered) == set()
    assert set(offer.none) & set(offered) == set()


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("inputs", "inputs: "),
        ("replicas", "replicas: "),
        ("on_error", "on_error: "),
        ("with", "with:\n  "),
        ("resources", "resources:\n  "),
        ("env", "env:\n  "),
    ],
)
def test_behind_a_completed_key_stands_what_its_value_needs(
    server: LanguageServer, key: str, written: str
) -> None:
    offered = completions(server, "stages:\n  a:\n    ¦")

    assert offered[key]["insertText"] == written


HOVERS: Final = {
    "what-a-test-counts": (
        SHOW + "tests: {a: {expect: {show: {cou¦nt: 1}}}}\n",
        ("#### count", "How many items", "Unit: items"),
    ),
    "replicas": (
        SHOW + "    repl¦icas: 2\n",
        ("#### replicas", "Parallel workers", "Default: `1`"),
    ),
    "auto": (SHOW + "    replicas: au¦to\n", ("Default: `1`", "divided evenly")),
    "join": (
        SHOW + "    join: late¦st\n",
        ("Default: `zip`", "Each item of the first port with the newest of the others"),
    ),
    "key-of-a-join": (
        SHOW + "    join:\n      ke¦y: item\n",
        ("#### key", "equal values meet", "Required"),
    ),
    "within": (
        SHOW + "    join:\n      key: item\n      wit¦hin: 5s\n",
        ("#### within", "so many further items", "Default: `1000`"),
    ),
    "on-error": (
        SHOW + "    on_error: sk¦ip\n",
        ("Default: `stop`", "`skip`: The item is left out", "`dead_letter`: The item goes"),
    ),
    "capacity": (
        NUMBERS + "  b:\n    use: print\n    inputs:\n      from: numbers\n      capa¦city: 8\n",
        ("#### capacity", "Unit: items", "Default: `256`", "capacity: {items: 8, bytes: 1GiB}"),
    ),
    "bytes": (
        NUMBERS + "  b:\n    use: print\n    inputs:\n      from: numbers\n"
        "      capacity:\n        by¦tes: 1GiB\n",
        ("Unit: bytes", "Default: `64MiB`"),
    ),
    "overflow": (
        NUMBERS
        + "  b:\n    use: print\n    inputs:\n      from: numbers\n      over¦flow: block\n",
        ("#### overflow", "Default: `block`", "`drop_oldest`: The oldest item"),
    ),
    "transport-by-default": (
        "defaults:\n  edge:\n    trans¦port: pipe\n" + NUMBERS,
        ("Default: `auto`", "`queue`: Many writers"),
    ),
    "memory": ("limits:\n  mem¦ory: 4GiB\n" + NUMBERS, ("Unit: bytes", "half of what the machine")),
    "an-operator": (
        NUMBERS.replace("range", "ra¦nge"),
        ("Whole numbers from `start`", "- `stop`: The end", "/operators#range)"),
    ),
    "a-parameter": (NUMBERS.replace("stop", "st¦op"), ("#### stop", "The end", "Required")),
    "inputs": (SHOW.replace("inputs", "inp¦uts"), ("A stage without inputs is a source",)),
    "a-link": (SHOW.replace("inputs", "inp¦uts"), ("[Manual](http", "#an-edge)")),
    "stages": (SHOW.replace("stages", "sta¦ges"), ("The stages", "Required")),
    "version": ("ver¦sion: 1\n" + SHOW, ("Version of the language", "Default: `1`")),
    "run": (
        NUMBERS + "  b:\n    ru¦n: [cat]\n    inputs: numbers\n",
        (
            "#### run",
            "list of arguments (no shell)",
            "run: [sort, -n]",
            "{cmd: [wc, -c], mode: each}",
        ),
    ),
    "mode": (
        NUMBERS + "  b:\n    run:\n      cmd: [cat]\n      mo¦de: item\n    inputs: numbers\n",
        ("#### mode", "Default: `stream`", "`each`: One program an item", "#a-program)"),
    ),
    "format": (
        NUMBERS + "  b:\n    run:\n      cmd: [cat]\n      for¦mat: lines\n    inputs: numbers\n",
        (
            "#### format",
            "`lines` for text items, else `jsonl`",
            "`jsonl`: An item is a line of JSON",
        ),
    ),
    "secret": ("params:\n  a:\n    sec¦ret: true\n" + SHOW, ("Default: `false`", "`***`")),
}


@pytest.mark.parametrize(("text", "words"), HOVERS.values(), ids=HOVERS)
def test_a_hover_tells_what_it_does_its_unit_and_its_default(
    server: LanguageServer, text: str, words: tuple[str, ...]
) -> None:
    shown = hover(server, text)

    assert [word for word in words if word not in shown] == [], shown


TOLD: Final = {
    "nothing-wrong": (SHOW, []),
    "anchors": ("x-base: &b {on_error: skip}\n" + SHOW + "    <<: *b\n", []),
    "own-keys": (SHOW + "    x-note: 1\n", []),
    "a-reference-for-a-number": ("params: {n: 1}\n" + SHOW + "    replicas: ${params.n}\n", []),
    "a-reference-for-a-choice": ("params: {n: skip}\n" + SHOW + "    on_error: ${params.n}\n", []),
    "a-reference-for-a-parameter": ("params: {n: 2}\n" + NUMBERS.replace("3", "${params.n}"), []),
    "a-reference-for-a-truth": (SHOW + "    ordered: ${env.ORDERED:-true}\n", []),
    "an-operator-of-a-plug-in": ("stages:\n  a:\n    use: acme/read\n    with: {b: 1}\n", []),
    "a-test": (SHOW + "tests: {a: {given: {numbers: [1]}, expect: {show: {count: 1}}}}\n", []),
    "key-of-a-test": (
        SHOW + "tests: {a: {gven: {}, expect: {show: []}}}\n",
        ["9:13 Property gven is not allowed."],
    ),
    "what-is-given-is-no-list": (
        SHOW + "tests: {a: {given: {numbers: 1}, expect: {show: []}}}\n",
        ["9:30 must be a list of items"],
    ),
    "what-is-expected-is-no-list": (
        SHOW + "tests: {a: {given: {numbers: [1]}, expect: {show: one}}}\n",
        ["9:51 must be a list of items, or a mapping with 'count', 'contains' or 'each'"],
    ),
    "a-text": ("hello", ["1:1 must be a mapping with 'stages:'"]),
    "key-of-the-file": (
        "limts: {}\n" + SHOW,
        ["1:1 Property limts is not allowed."],
    ),
    "key-of-a-stage": (SHOW + "    replcas: 3\n", ["9:5 Property replcas is not allowed."]),
    "word-of-another-tool": (
        SHOW + "    workers: 3\n",
        ["9:5 'workers' is called 'replicas' here"],
    ),
    "word-for-later": (
        SHOW + "restart: {limit: 3}\n",
        ["9:1 'restart' comes in a later version"],
    ),
    "a-number-too-small": (SHOW + "    replicas: 0\n", ["9:15 Value is below the minimum of 1."]),
    "a-word-that-is-none": (
        SHOW + "    replicas: many\n",
        ["9:15 must be a whole number from 1 to 4096 or 'auto'"],
    ),
    "a-policy-that-is-none": (
        SHOW + "    on_error: skipp\n",
        ["9:15 must be 'stop', 'skip' or 'dead_letter' or a mapping"],
    ),
    "a-truth-that-is-none": (SHOW + "    ordered: yes\n", ["9:14 must be true or false"]),
    "an-operator-that-is-none": (
        SHOW.replace("print", "prnt"),
        ["7:10 must be the name of an operator"],
    ),
    "a-parameter-that-is-none": (
        SHOW + "    with: {fromat: text}\n",
        ["9:12 Property fromat is not allowed."],
    ),
    "a-choice-of-a-parameter": (
        SHOW + "    with: {format: txt}\n",
        ["9:20 must be 'auto', 'text', 'json' or 'table'"],
    ),
    "a-parameter-missing": (
        "stages:\n  a:\n    use: range\n    with: {}\n",
        ['4:5 Missing property "stop".'],
    ),
    "a-slip-in-an-edge": (
        SHOW.replace("inputs: numbers", "inputs: {from: numbers, capcity: 8}"),
        ["8:29 Property capcity is not allowed."],
    ),
    "form-for-from": (
        SHOW.replace("inputs: numbers", "inputs: {form: numbers, capacity: 8}"),
        ["8:14 Property form is not allowed.", '8:5 Missing property "from".'],
    ),
    "no-inputs-at-all": (
        SHOW.replace("inputs: numbers", "inputs: []"),
        ["8:13 must name a stage at least"],
    ),
    "an-input-that-is-none": (
        SHOW.replace("inputs: numbers", "inputs: [numbers, 3]"),
        ["8:23 must be a stage, or stage.port"],
    ),
    "both-works": (
        SHOW + "    call: m:f\n",
        ["7:5 a stage has either 'call' or 'use'"],
    ),
    "a-name-that-is-none": (
        NUMBERS + "  1st: {call: 'm:f'}\n",
        ["6:3 a stage's name is a letter, then letters, digits, '-' or '_'"],
    ),
    "no-stages": ("stages: {}\n", ["1:9 a pipeline needs at least one stage"]),
    "stages-as-a-list": ("stages: []\n", ["1:9 must be a mapping"]),
    "a-size-without-unit": (
        "limits: {memory: 4}\n" + SHOW,
        ["1:18 must be a size such as 64MiB or 4GB"],
    ),
    "a-size-that-is-none": (
        "limits: {memory: 4gb}\n" + SHOW,
        ["1:18 must be a size such as 64MiB or 4GB"],
    ),
    "a-type-that-is-none": (
        "params: {a: {type: int}}\n" + SHOW,
        [f"1:20 must be {', '.join(map(repr, PARAM_TYPES[:-1]))} or 'list'"],
    ),
    "another-version": ("version: 2\n" + SHOW, ["1:10 must be 1"]),
    "a-program-as-text": (
        NUMBERS + "  b:\n    run: sort -n\n    inputs: numbers\n",
        ["7:10 must be a list or a mapping"],
    ),
    "a-program-without-a-name": (
        NUMBERS + "  b:\n    run: []\n    inputs: numbers\n",
        ["7:10 the program is missing"],
    ),
    "an-argument-in-braces": (
        NUMBERS + "  b:\n    run: [awk, {print $1}]\n    inputs: numbers\n",
        ["7:16 must be text"],
    ),
    "a-mode-that-is-none": (
        NUMBERS + "  b:\n    run: {cmd: [cat], mode: itm}\n    inputs: numbers\n",
        ["7:29 must be 'stream', 'item' or 'each'"],
    ),
    "a-program-and-an-operator": (
        NUMBERS + "  b:\n    run: [cat]\n    use: print\n    inputs: numbers\n",
        ["7:5 a stage has either 'use' or 'run'"],
    ),
    "no-processors": (SHOW + "    resources: {cpus: []}\n", ["9:23 must not be empty"]),
}


@pytest.fixture(scope="session")
def all_told(server: LanguageServer) -> dict[str, list[str]]:
    """All at once: the server waits a moment before it looks at a text."""
    return told(server, {name: text for name, (text, _) in TOLD.items()})


@pytest.mark.parametrize("name", TOLD)
def test_a_mistake_is_told_once_at_its_place(all_told: dict[str, list[str]], name: str) -> None:
    _, expected = TOLD[name]

    assert all_told[name] == expected


def test_a_stage_without_the_parameters_that_its_operator_needs_is_told(
    server: LanguageServer,
) -> None:
    said = told(server, {"bare": "stages:\n  a:\n    use: range\n"})

    # Older releases have words of their own for what is missing.
    assert said["bare"] in (["2:3 'range' needs 'with': stop"], ['2:3 Missing property "with".'])


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (SHOW + "    replcas: 3\n", "replicas"),
        (SHOW + "    on_error: skipp\n", "skip"),
        (SHOW.replace("print", "prnt"), "print"),
        (SHOW + "    with: {fromat: text}\n", "format"),
        (SHOW + "    with: {format: txt}\n", "text"),
        (SHOW.replace("inputs: numbers", "inputs: {form: numbers, capacity: 8}"), "from"),
        ("version: 2\n" + SHOW, "1"),
        ("limits: {memry: 4GB}\n" + SHOW, "memory"),
    ],
)
def test_a_quick_fix_writes_what_was_meant(server: LanguageServer, text: str, fix: str) -> None:
    document, _ = opened(server, text)
    fixes = [fix for each in server.diagnostics(document) for fix in server.fixes(document, each)]
    server.close_document(document)

    meant = next(each for each in fixes if each["title"] == fix)
    ((edit,),) = meant["edit"]["changes"].values()
    assert edit["newText"] == fix


def test_the_examples_have_no_diagnostics_with_their_own_modeline(server: LanguageServer) -> None:
    examples = sorted((ROOT / "pipelines").glob("*.yaml"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in examples}
    bare = {name: text.replace(MODELINE, "") for name, text in texts.items()}

    said = told(server, bare)

    assert len(examples) >= 4
    assert all(MODELINE in text for text in texts.values())
    assert said == {name: [] for name in texts}


def test_the_same_files_have_the_same_verdict_everywhere(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("def f(): yield 1\n", encoding="utf-8")
    # Whether a plug-in's operator is there only validate can know.
    texts = {name: text for name, (text, _) in TOLD.items() if name != "an-operator-of-a-plug-in"}
    files = {tmp_path / f"{name}.yaml": text for name, text in texts.items()}
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")

    refused = {
        "the editor": {name for name, (_, said) in TOLD.items() if said},
        "check-jsonschema": refused_by_check_jsonschema(list(files)),
        "validate": {f.stem for f in files if main(["validate", str(f)], Theatre().world) == 2},
    }

    assert refused["check-jsonschema"] == refused["the editor"]
    assert refused["validate"] == refused["the editor"]


def test_what_check_jsonschema_refuses_among_our_cases_validate_refuses_too() -> None:
    found = [*(ROOT / "tests/cases").glob("*/*.yaml"), *(ROOT / "pipelines").glob("*.yaml")]
    # check-jsonschema itself does not survive these.
    deadly = {"b27-too-many-digits", "b39-recursive-alias"}
    cases = [file for file in found if file.stem not in deadly]

    refused = refused_by_check_jsonschema(cases)

    assert len(refused) > 40
    assert refused <= {file.stem for file in (ROOT / "tests/cases/invalid").glob("*.yaml")}


def refused_by_check_jsonschema(files: list[Path]) -> set[str]:
    """The stems of the files that do not fit the schema, or cannot be parsed."""
    schema = ROOT / "schemas/pipeline.schema.json"
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), "-o", "json"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    told = [*answer.get("errors", ()), *answer.get("parse_errors", ())]
    return {Path(each["filename"]).stem for each in told}
