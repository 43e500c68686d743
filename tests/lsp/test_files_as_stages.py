"""What the language server knows of a file that a stage runs, without a server."""

from __future__ import annotations

from pathlib import Path

from pipeflow.lsp.checking import findings
from pipeflow.lsp.outline import Kind, outline
from pipeflow.lsp.rename import renamed
from pipeflow.lsp.words import Surroundings, defined_at, hover
from tests.config.parts import DOUBLE, write

OUTER = """\
stages:
  numbers: {use: range, with: {stop: 3}}
  part:
    pipeline: part.yaml
    inputs: numbers
  show: {use: print, inputs: part}
"""


def test_a_mistake_of_an_inner_file_stands_where_the_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, part=DOUBLE.replace("inputs: xs}", "inputs: ys}"), outer=OUTER)
    file = str(tmp_path / "outer.yaml")

    (found,) = findings(file, OUTER, {})

    assert (found.at.line, found.at.column, found.code) == (4, 15, "unknown-stage")
    assert found.problem.startswith(f"{tmp_path}/part.yaml:4:41: stage 'twice' reads from 'ys'")


def test_a_file_is_found_and_shown(tmp_path: Path) -> None:
    write(tmp_path, part=f"description: Twice as much.\nparams: {{n: 1}}\n{DOUBLE}", outer=OUTER)
    file = outline(OUTER)
    around = Surroundings(str(tmp_path), (), {})
    name = file.at(4, 17)
    assert name is not None

    place = defined_at(name, around)
    shown = hover(name, file, around)

    assert name.kind is Kind.FILE
    assert place is not None
    assert (place.file, place.line) == (tmp_path / "part.yaml", 1)
    assert shown == (
        "**file `part.yaml`**\n\nTwice as much.\n\ninputs: `xs`\n\noutputs: `out`\n\nparams: `n`"
    )


def test_a_file_that_is_not_there_leads_nowhere(tmp_path: Path) -> None:
    file = outline(OUTER)
    around = Surroundings(str(tmp_path), (), {})
    name = file.at(4, 17)
    assert name is not None

    assert defined_at(name, around) is None
    assert hover(name, file, around) == ""


def test_inputs_and_outputs_are_renamed_with_what_they_name() -> None:
    file = outline(DOUBLE)
    xs, twice = file.at(1, 10), file.at(4, 4)
    assert xs is not None
    assert twice is not None

    inputs, stages = renamed(xs, "images", file), renamed(twice, "doubled", file)

    assert [(each.line, each.column) for each in inputs if not isinstance(each, str)] == [
        (1, 10),
        (4, 41),
    ]
    assert [(each.line, each.column) for each in stages if not isinstance(each, str)] == [
        (2, 16),
        (4, 3),
    ]
    assert renamed(xs, "twice", file) == "there is a stage 'twice' already (line 4)"
