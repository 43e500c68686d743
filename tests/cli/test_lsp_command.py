"""``pipeflow lsp`` where its extra is not installed; ``tests/lsp`` drives the server itself."""

from __future__ import annotations

import pytest

from pipeflow.cli import lsp
from pipeflow.cli.main import main
from tests.cli.fakes import Theatre


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp, "find_spec", lambda name: None)
    theatre = Theatre()

    code = main(["lsp", "--stdio"], theatre.world)

    assert (code, theatre.out) == (2, "")
    assert theatre.err == (
        "pipeflow: error: 'pipeflow lsp' needs the extra 'lsp': pip install 'pipeflow[lsp]'\n"
    )
