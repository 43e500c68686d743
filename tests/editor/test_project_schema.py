"""What an editor shows of the user's own functions, with the schema that is made for a project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pipeflow.cli.main import main
from tests.cli.fakes import Theatre
from tests.config.test_mutations import Mutation, mutations
from tests.editor.asking import Offer, completions, hover, opened, told
from tests.editor.conftest import ROOT
from tests.editor.language_server import LanguageServer

WHERE: Final = ("project/photos.yaml", "# yaml-language-server: $schema=.pipeflow/schema.json\n")
FIND: Final = "stages:\n  find:\n    call: imaging:find\n    with:\n      root: photos\n"
SHRINK: Final = FIND + "  shrink:\n    call: imaging:shrink\n    inputs: find\n"
WIDE: Final = SHRINK + "    with:\n      width: 3\n"


@pytest.fixture(scope="session", autouse=True)
def project(server: LanguageServer) -> Path:
    """The project, beside the schema of it and of the stages of its file."""
    folder = server.folder / "project"
    if not folder.exists():
        shutil.copytree(ROOT / "tests/editor/project", folder)
    file, schema = folder / "photos.yaml", folder / ".pipeflow/schema.json"
    assert main(["schema", str(file), "--stages", "-o", str(schema)], Theatre().world) == 0
    return folder


OFFERS: Final = {
    "functions": Offer(
        "stages:\n  a:\n    call: ¦",
        ("imaging:find", "imaging:shrink", "imaging:Detector", "imaging:rolling"),
        ("imaging:_private", "imaging:Box", "imaging:Mode", "imaging:Path"),
    ),
    "parameters-of-a-source": Offer(
        "stages:\n  a:\n    call: imaging:find\n    with:\n      ¦",
        ("root", "pattern", "find with root"),
        ("width",),
    ),
    "parameters-beside-the-item": Offer(
        SHRINK + "    with:\n      ¦",
        ("width", "ratio", "mode", "names", "box", "shrink with width"),
        ("photo", "root"),
    ),
    "parameters-of-a-class": Offer(
        FIND + "  d:\n    call: imaging:Detector\n    inputs: find\n    with:\n      ¦",
        ("model", "threshold"),
        ("photo", "self"),
    ),
    "parameters-of-a-stream": Offer(
        FIND + "  d:\n    call: imaging:rolling\n    inputs: find\n    with:\n      ¦",
        ("window",),
        ("xs",),
    ),
    "words-of-a-literal": Offer(WIDE + "      how: ¦", ("near", "far"), ("true", "null")),
    "members-of-an-enum": Offer(WIDE + "      mode: ¦", ("fast", "exact", "FAST")),
    "truth": Offer(WIDE + "      deep: ¦", ("true", "false"), ("null",)),
    "fields-of-a-dataclass": Offer(WIDE + "      box:\n        ¦", ("width", "height")),
    "stages-as-inputs": Offer(
        WIDE + "  d:\n    use: print\n    inputs: ¦",
        ("find", "shrink", "shrink.errors", "shrink.masks", "detect"),
        ("find.errors", "find.out"),
    ),
    "stages-in-a-list": Offer(WIDE + "  d:\n    use: print\n    inputs:\n      - ¦", ("find",)),
    "stages-of-a-long-form": Offer(
        WIDE + "  d:\n    use: print\n    inputs:\n      from: ¦",
        ("find", "shrink.masks"),
        ("segment.masks",),
    ),
    "stages-for-a-named-input": Offer(
        WIDE + "  d:\n    call: imaging:pair\n    inputs:\n      left: ¦", ("find", "shrink")
    ),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_editor_offers_the_users_own_names(server: LanguageServer, offer: Offer) -> None:
    offered = completions(server, offer.text, *WHERE)

    assert set(offer.some) - set(offered) == set()
    assert set(offer.none) & set(offered) == set()


def test_a_completed_function_shows_its_signature_and_its_docstring(server: LanguageServer) -> None:
    offered = completions(server, "stages:\n  a:\n    call: ¦", *WHERE)

    shown = offered["imaging:find"]["documentation"]["value"]
    assert "find(root: Path, pattern: str = '*') -> Iterator[Path]" in shown
    assert "Find the photos below a folder." in shown
    assert "imaging.py:26" in shown


HOVERS: Final = {
    "google": (FIND.replace("root", "ro¦ot"), ("Folder that is searched.", "Type: `Path`", "Requ")),
    "numpy": (WIDE.replace("width", "wi¦dth"), ("How wide it becomes, in pixels.", "`int`")),
    "sphinx": (
        FIND + "  d:\n    call: imaging:Detector\n    inputs: find\n    with:\n      mo¦del: x\n",
        ("Name of the model.", "Type: `str`"),
    ),
    "default": (WIDE + "      ra¦tio: 0.3\n", ("Ratio of its sides.", "Default: `0.5`")),
    "function": (SHRINK.replace("shrink\n", "shr¦ink\n"), ("Shrink a photo.", "-> bytes")),
    "class": (
        FIND + "  d:\n    call: imaging:Det¦ector\n    inputs: find\n    with: {model: x}\n",
        ("Finds things in photos.", "class Detector(model: str, threshold: float = 0.5)"),
    ),
    "stage": (
        WIDE + "  d:\n    use: print\n    inputs: shr¦ink\n",
        ("Where items come from", "`shrink`: Makes them small."),
    ),
}


@pytest.mark.parametrize(("text", "words"), HOVERS.values(), ids=HOVERS)
def test_a_hover_tells_what_the_docstring_says(
    server: LanguageServer, text: str, words: tuple[str, ...]
) -> None:
    shown = hover(server, text, *WHERE)

    assert [word for word in words if word not in shown] == [], shown


NEW: Final = "when this schema was written; if it is new, run 'pipeflow schema' again"
TOLD: Final = {
    "nothing-wrong": (WIDE, []),
    "a-list": (WIDE + "      names: [a, b]\n", []),
    "null": (WIDE + "      names: null\n", []),
    "name-of-a-member": (WIDE + "      mode: FAST\n", []),
    "duration": (WIDE + "      wait: 5s\n", []),
    "anything": (WIDE + "      anything: {a: [1]}\n", []),
    "one-of-two-types": (WIDE + "      either: x\n", []),
    "dataclass": (WIDE + "      box: {width: 3}\n", []),
    "named-inputs": (
        WIDE + "  d:\n    call: imaging:pair\n    inputs: {left: find, right: shrink}\n",
        [],
    ),
    "not-ascii": (
        FIND + "  d:\n    call: imaging:größe\n    inputs: find\n    with: {länge: 2}\n",
        [],
    ),
    "private": (FIND + "  d:\n    call: imaging:_private\n    inputs: find\n", []),
    "parameter": (WIDE + "      ratoi: 3\n", ["11:7 Property ratoi is not allowed."]),
    "item": (WIDE + "      photo: 3\n", ["11:7 Property photo is not allowed."]),
    "float": (WIDE + "      ratio: abc\n", ["11:14 expected float"]),
    "int": (WIDE.replace("3", "3.5"), ["10:14 expected int"]),
    "bool": (WIDE + "      deep: 3\n", ["11:13 expected true or false"]),
    "literal": (WIDE + "      how: nera\n", ["11:12 expected one of 'near', 'far'"]),
    "enum": (WIDE + "      mode: fsat\n", ["11:13 expected one of 'fast', 'exact'"]),
    "entry-of-a-list": (WIDE + "      names: [1]\n", ["11:15 expected str"]),
    "text-for-a-list": (WIDE + "      names: a\n", ["11:14 expected a list of str or null"]),
    "tuple-too-short": (WIDE + "      sizes: [1]\n", ["11:14 expected tuple[int, int]"]),
    "tuple": (WIDE + "      sizes: [1, a]\n", ["11:18 expected int"]),
    "value-of-a-dict": (WIDE + "      extra: {a: b}\n", ["11:18 expected int"]),
    "field": (
        WIDE + "      box: {width: 1, hieght: 3}\n",
        ["11:23 Property hieght is not allowed."],
    ),
    "bare-number": (WIDE + "      wait: 5\n", ["11:13 expected a duration such as 50ms, 2s, 5m"]),
    "neither-of-two": (WIDE + "      either: 1.5\n", ["11:15 expected int or str"]),
    "missing": (SHRINK + "    with: {}\n", ['9:5 Missing property "width".']),
    "function": (
        WIDE.replace("imaging:shrink", "imaging:shirnk"),
        [f"7:11 no such function was there {NEW}"],
    ),
    "module": (
        WIDE.replace("imaging:shrink", "imagin:shrink"),
        [f"7:11 no such function was there {NEW}"],
    ),
    "form": (WIDE.replace("imaging:shrink", "imaging"), ["7:11 must be 'module:function'"]),
    "stage": (WIDE.replace("inputs: find", "inputs: fnid"), [f"8:13 no stage gave that {NEW}"]),
    "stage-in-a-list": (
        WIDE.replace("inputs: find", "inputs: [find, fnid]"),
        [f"8:20 no stage gave that {NEW}"],
    ),
    "stage-of-an-edge": (
        WIDE.replace("inputs: find", "inputs: {from: fnid}"),
        [f"8:20 no stage gave that {NEW}"],
    ),
    "port": (
        WIDE + "  d:\n    use: print\n    inputs: shrink.maks\n",
        [f"13:13 no stage gave that {NEW}"],
    ),
}


@pytest.fixture(scope="session")
def all_told(server: LanguageServer, project: Path) -> dict[str, list[str]]:
    return told(server, {name: text for name, (text, _) in TOLD.items()}, *WHERE)


@pytest.mark.parametrize("name", TOLD)
def test_a_mistake_in_a_call_is_told_at_its_place(
    all_told: dict[str, list[str]], name: str
) -> None:
    _, expected = TOLD[name]

    assert all_told[name] == expected


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (WIDE + "      ratoi: 3\n", "ratio"),
        (WIDE + "      how: nera\n", "near"),
        (WIDE.replace("imaging:shrink", "imaging:shirnk"), "imaging:shrink"),
        (WIDE.replace("inputs: find", "inputs: fnid"), "find"),
        (WIDE + "  d:\n    use: print\n    inputs: shrink.maks\n", "shrink.masks"),
    ],
)
def test_a_quick_fix_writes_the_users_own_name(server: LanguageServer, text: str, fix: str) -> None:
    document, _ = opened(server, text, *WHERE)
    fixes = [one for each in server.diagnostics(document) for one in server.fixes(document, each)]
    server.close_document(document)

    assert fix in [one["title"] for one in fixes]


def test_what_the_project_schema_refuses_validate_refuses_too(project: Path) -> None:
    verdicts = {}
    for name, (text, expected) in TOLD.items():
        file = project / f"{name}.yaml"
        # `detect` and the port of `shrink` are in the schema, so they belong to the file as well.
        file.write_text(text.replace("  shrink:\n", "  shrink:\n    outputs: [masks]\n"), "utf-8")
        verdicts[name] = (main(["validate", str(file)], Theatre().world) == 2, bool(expected))
        file.unlink()

    assert [name for name, (refused, told_) in verdicts.items() if refused != told_] == []


def test_nine_slips_in_ten_are_seen_by_the_editor(
    server: LanguageServer,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    tried = mutations()[:200]
    schemas = {
        file: tmp_path_factory.mktemp("schema") / "s.json" for file in {m.file for m in tried}
    }
    for file, schema in schemas.items():
        assert main(["schema", str(file), "--stages", "-o", str(schema)], Theatre().world) == 0

    documents = {
        one: server.open("slip.yaml", _with_schema(one, schemas[one.file])) for one in tried
    }
    said = {one: server.diagnostics(document) for one, document in documents.items()}
    for document in documents.values():
        server.close_document(document)

    unseen = [str(one) for one in tried if not said[one]]
    share = 1 - len(unseen) / len(tried)
    record_property("share of slips that the editor sees", f"{share:.1%}")
    print(f"{len(tried)} slips, the editor sees {share:.1%} of them")
    assert share >= 0.9, "\n".join(unseen)


def _with_schema(one: Mutation, schema: Path) -> str:
    lines = [line for line in one.text.split("\n") if "yaml-language-server" not in line]
    return "\n".join([f"# yaml-language-server: $schema={schema}", *lines])
