"""Slips of the keyboard in good files: each is told at its place, with the word that was meant."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeflow.config.load import load
from pipeflow.config.nodes import Entry, Map, Node, Scalar, Seq, TreePath, plain
from pipeflow.config.reader import read_file, read_text
from pipeflow.errors import Finding, Severity
from pipeflow.planner.checks import check
from pipeflow.stages.registry import stage_types

ROOT = Path(__file__).resolve().parents[2]
GOOD = sorted([*(ROOT / "pipelines").glob("*.yaml"), *(ROOT / "tests/cases/valid").glob("*.yaml")])
#: Mutations that are tried, over all files together.
MANY = 300
#: Keys whose values are one of a few words.
CHOICES = {"on_error", "transport", "overflow", "arrays", "partition", "type"}
#: Shorter words are near too many others.
SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Site:
    """A word of a file that a slip can hit.

    Attributes:
        kind: What the word is.
        line: Where it stands, from 1.
        column: Its first character, from 1.
        word: The word itself.
    """

    kind: str
    line: int
    column: int
    word: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A file with a slip.

    Attributes:
        file: The good file.
        site: What was hit.
        typed: What stands there now.
        text: The file with the slip in it.
    """

    file: Path
    site: Site
    typed: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file.name}:{self.site.line}:{self.site.column}"
        return f"{where}: {self.site.kind} '{self.site.word}' typed as '{self.typed}'"


def words_of(file: Path) -> list[Site]:
    """Every word of a file that has a right spelling: keys, stages, ports, functions, choices."""
    document = read_file(file)
    assert document.root is not None
    sites = {site for site in _walk(document.root, ()) if len(site.word) >= SHORTEST}
    text = document.text.split("\n")
    # What comes by an alias stands elsewhere; what is escaped is longer than its text.
    found = [one for one in sites if text[one.line - 1][one.column - 1 :].startswith(one.word)]
    return sorted(found, key=lambda site: (site.line, site.column))


def _walk(node: Node, path: TreePath) -> Iterator[Site]:
    match node:
        case Map():
            for entry in node.entries:
                if not entry.key.startswith("x-"):
                    yield from _key(entry, path)
                    yield from _walk(entry.value, (*path, entry.key))
        case Seq():
            for number, item in enumerate(node.items):
                yield from _walk(item, (*path, number))
        case Scalar(value=str()):
            yield from _value(node, path)
        case Scalar():
            pass


def _key(entry: Entry, path: TreePath) -> Iterator[Site]:
    at = entry.key_at
    match path:
        case () | ("stages", _) | ("limits",) | ("defaults",):
            yield Site("key", at.line, at.column, entry.key)
        case ("stages", _, "with"):
            yield Site("parameter", at.line, at.column, entry.key)
        case ("params", _) | (_, _, "resources") | (_, "resources") | (*_, "inputs"):
            if entry.key not in {"image", "mask", "photo", "edges"}:
                yield Site("key", at.line, at.column, entry.key)
        case _:
            pass


def _value(node: Scalar, path: TreePath) -> Iterator[Site]:
    at, text = node.at, str(node.value)
    column = at.column + node.quoted
    match path:
        case ("stages", _, "call"):
            module, _, function = text.partition(":")
            yield Site("module", at.line, column, module)
            yield Site("function", at.line, column + len(module) + 1, function)
        case ("stages", _, "use"):
            yield Site("operator", at.line, column, text)
        case (*_, key) if key in CHOICES:
            yield Site("choice", at.line, column, text)
        case ("stages", _, "inputs", *_) if "$" not in text:
            stage, _, port = text.partition(".")
            yield Site("stage", at.line, column, stage)
            if port:
                yield Site("port", at.line, column + len(stage) + 1, port)
        case _:
            for found in re.finditer(r"\$\{params\.(\w+)\}", text):
                yield Site("reference", at.line, column + found.start(1), found[1])


def slip(word: str, dice: random.Random) -> str:
    """The word with one slip: a letter lost, doubled, swapped with its neighbour, or wrong."""
    while True:
        place = dice.randrange(1, len(word))
        typed = dice.choice(
            [
                word[:place] + word[place + 1 :],
                word[:place] + word[place - 1] + word[place:],
                word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :],
                word[:place] + dice.choice("aeinrst") + word[place + 1 :],
            ]
        )
        # One that only moves a dot or a dash, or is the word itself, is no slip of a letter.
        if typed != word and re.fullmatch(r"\w+(\.\w+)?", typed):
            return typed


def mutations() -> list[Mutation]:
    """Slips in words, by fixed dice: every run tries the same ones."""
    dice = random.Random(2)
    sites = [(file, site) for file in GOOD for site in words_of(file)]
    return [_mutate(*dice.choice(sites), dice) for _ in range(MANY)]


def _mutate(file: Path, site: Site, dice: random.Random) -> Mutation:
    lines = file.read_text(encoding="utf-8").split("\n")
    line, start = lines[site.line - 1], site.column - 1
    typed = slip(site.word, dice)
    lines[site.line - 1] = line[:start] + typed + line[start + len(site.word) :]
    return Mutation(file, site, typed, "\n".join(lines))


def mistakes_in(text: str, like: Path, folder: Path) -> list[Finding]:
    """What is wrong with a text that stands beside the modules of another file."""
    for module in like.parent.glob("*.py"):
        if not (folder / module.name).exists():
            shutil.copy(module, folder)
    parts = like.with_suffix("")
    if parts.is_dir() and not (folder / parts.name).exists():
        shutil.copytree(parts, folder / parts.name)  # the files that its stages run
    path = folder / "mutated.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load(path, environ={}, stage_types=stage_types(), search_path=())
    more = check(loaded.pipeline, complete=loaded.complete) if loaded.pipeline else ()
    findings = [*loaded.findings, *more]
    lines = text.split("\n")
    for finding in findings:
        assert 1 <= finding.at.line <= len(lines), finding
        assert 1 <= finding.at.column <= len(lines[finding.at.line - 1]) + 1, finding
    return [finding for finding in findings if finding.severity is Severity.ERROR]


@pytest.fixture
def folders(tmp_path: Path) -> dict[Path, Path]:
    """A folder for the mutations of each folder of good files."""
    made = {parent: tmp_path / parent.name for parent in {file.parent for file in GOOD}}
    for folder in made.values():
        folder.mkdir()
    return made


def test_a_slip_in_a_word_is_told_once_at_its_place_with_the_word_that_was_meant(
    folders: dict[Path, Path], record_property: Callable[[str, object], None]
) -> None:
    unseen, elsewhere, echoed, unguessed = [], [], [], []
    tried = mutations()

    for one in tried:
        found = mistakes_in(one.text, one.file, folders[one.file.parent])
        here = [
            finding
            for finding in found
            if finding.at.line == one.site.line
            and finding.at.column <= one.site.column + len(one.typed)
            and one.site.column <= finding.at.column + finding.length
        ]
        if not found:
            unseen.append(str(one))
        elif not here:
            elsewhere.append(f"{one}: {found[0]}")
        elif not any(_means(finding, one.site.word) for finding in here):
            unguessed.append(f"{one}: {here[0]}")
        if len(found) > 1:
            echoed.append(f"{one}: {found}")

    share = 1 - len([*unseen, *elsewhere, *unguessed]) / len(tried)
    record_property("share of slips with the right 'did you mean'", f"{share:.1%}")
    print(f"{len(tried)} slips, the right word is named for {share:.1%}")
    assert unseen == []
    assert elsewhere == []
    assert share >= 0.95, "\n".join(unguessed)
    assert echoed == []


def test_three_slips_in_one_file_are_told_all_at_once(folders: dict[Path, Path]) -> None:
    dice = random.Random(3)
    lost = []

    for _ in range(60):
        file = dice.choice(GOOD)
        picked = dice.sample(words_of(file), 3)
        lines = file.read_text(encoding="utf-8").split("\n")
        if len({site.line for site in picked}) < len(picked):
            continue
        for site in picked:
            line, start = lines[site.line - 1], site.column - 1
            rest = line[start + len(site.word) :]
            lines[site.line - 1] = line[:start] + slip(site.word, dice) + rest
        found = mistakes_in("\n".join(lines), file, folders[file.parent])
        told = {finding.at.line for finding in found}
        # Nobody knows what a function takes that nobody knows.
        unknown = {"module", "function", "operator"} & {site.kind for site in picked}
        lost += [
            f"{file.name}: {site}"
            for site in picked
            if site.line not in told and not (unknown and site.kind == "parameter")
        ]

    assert lost == []


def _means(finding: Finding, word: str) -> bool:
    """Whether a hint names the word: alone, as a port of a stage, or as a reference."""
    return bool(re.search(rf"did you mean ['$\{{\w.]*{re.escape(word)}['\}}]", finding.hint))


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_broken_line_is_told_at_a_place_inside_the_file(
    file: Path, folders: dict[Path, Path]
) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    good = read_file(file).root
    dice = random.Random(file.stem)
    unseen = []

    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        broken = dice.choice(list(_broken(line)))
        changed = "\n".join([*lines[:number], broken, *lines[number + 1 :]])
        found = mistakes_in(changed, file, folders[file.parent])
        if not found and not _reads_alike(changed, good):
            unseen.append(f"{number + 1}: {broken}")

    assert unseen == []


def _broken(line: str) -> Iterator[str]:
    """A line with wrong indentation, a quote or bracket too few, a tab, or no colon."""
    yield " " + line if line.startswith(" ") else "   " + line
    yield "\t" + line.lstrip()
    yield line.replace(": ", ":", 1) if ": " in line else line.rstrip(":")
    key, colon, value = line.partition(": ")
    yield f'{key}{colon}"{value.strip()[:5]}'
    yield f"{key}{colon}[{value}"
    yield f"{key}{colon}@{value}"


def _reads_alike(text: str, good: Node | None) -> bool:
    """Whether a change that earned no finding also changed nothing that is read."""
    return plain(read_text(text, "mutated").root) == plain(good)
