"""What an editor shows of the files that stages run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pipeflow.cli.main import main
from tests.cli.fakes import Theatre
from tests.config.parts import write
from tests.editor.asking import Offer, completions, hover, told
from tests.editor.language_server import LanguageServer

WHERE: Final = ("parts/outer.yaml", "# yaml-language-server: $schema=.pipeflow/schema.json\n")
PART: Final = """\
params:
  width: {type: integer, minimum: 16, description: How wide it becomes.}
  mode: {enum: [fast, exact], default: fast}
inputs: [image, mask]
outputs: {out: both, edges: both}
stages:
  both: {call: 'steps:add', inputs: {x: image, n: mask}}
"""
OUTER: Final = """\
stages:
  find: {use: range, with: {stop: 3}}
  part:
    pipeline: part.yaml
    inputs: {image: find, mask: find}
    with:
      width: 32
"""


@pytest.fixture(scope="session", autouse=True)
def project(server: LanguageServer) -> Path:
    """The files, beside the schema of the outer one."""
    folder = server.folder / "parts"
    folder.mkdir(exist_ok=True)
    write(folder, part=PART, outer=OUTER)
    file, schema = folder / "outer.yaml", folder / ".pipeflow/schema.json"
    schema.parent.mkdir(exist_ok=True)
    assert main(["schema", str(file), "--stages", "-o", str(schema)], Theatre().world) == 0
    return folder


BEGUN: Final = OUTER.partition("    inputs")[0]
OFFERS: Final = {
    "params-of-the-file": Offer(BEGUN + "    with:\n      ¦", ("width", "mode"), ("stop",)),
    "choices-of-a-param": Offer(OUTER + "      mode: ¦", ("fast", "exact")),
    "inputs-of-the-file": Offer(BEGUN + "    inputs:\n      ¦", ("image", "mask")),
    "outputs-of-the-file": Offer(
        OUTER + "  d:\n    use: print\n    inputs: ¦", ("part", "part.edges", "part.errors")
    ),
    "outputs-of-this-file": Offer(OUTER + "outputs:\n  out: ¦", ("find", "part", "part.edges")),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_editor_offers_what_the_file_says(server: LanguageServer, offer: Offer) -> None:
    offered = completions(server, offer.text, *WHERE)

    assert set(offer.some) - set(offered) == set()
    assert set(offer.none) & set(offered) == set()


def test_a_hover_tells_what_a_param_of_the_file_is(server: LanguageServer) -> None:
    shown = hover(server, OUTER.replace("width", "wi¦dth"), *WHERE)

    assert "How wide it becomes." in shown


def test_mistakes_in_what_a_stage_gives_to_a_file_are_told(server: LanguageServer) -> None:
    said = told(
        server,
        {
            "fine": OUTER,
            "slip": OUTER.replace("width: 32", "width: 32\n      wdth: 3"),
            "choice": OUTER + "      mode: slow\n",
            "beside": OUTER.replace("    with:", "    replicas: 2\n    with:"),
        },
        *WHERE,
    )

    assert said["fine"] == []
    assert said["slip"] == ["8:7 Property wdth is not allowed."]
    assert said["choice"] == ["8:13 must be 'fast' or 'exact'"]
    (beside,) = said["beside"]
    assert beside.startswith("6:5 a stage with 'pipeline' has 'with', 'inputs', 'enabled'")
