"""The language servers that the tests of the editor drive; where one is missing, it is said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.editor.language_server import LanguageServer

ROOT: Final = Path(__file__).resolve().parents[2]

#: Folder with a folder for each version; ``install_servers`` makes it, and ``.ci/run`` calls that.
WHERE: Final = "PIPEFLOW_LANGUAGE_SERVERS"

#: The newest, and the last one before drafts later than 07 were read.
VERSIONS: Final = ("newest", "1.19.2")


def program_of(version: str) -> list[str]:
    """How to start a version of the server; skips the test, aloud, where it cannot run."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("THE EDITOR WAS NOT TESTED: there is no 'node' here; install Node 20 or later")
    given = os.environ.get(WHERE)
    folder = Path(given) if given else ROOT / ".language-servers"
    package = folder / version / "node_modules/yaml-language-server"
    script = package / "bin/yaml-language-server"
    if not script.is_file():
        assert not given, f"{WHERE} is set, and {script} is missing"
        pytest.skip("THE EDITOR WAS NOT TESTED: run tests/editor/install_servers first")
    return [node, str(script)]


@pytest.fixture(scope="session", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LanguageServer]:
    """One running server for all tests of its version; its folder has the schema beside it."""
    program = program_of(request.param)
    top = tmp_path_factory.mktemp("editor")
    shutil.copytree(ROOT / "schemas", top / "schemas")
    folder = top / "pipelines"
    folder.mkdir()
    running = LanguageServer(program, folder)
    yield running
    running.close()
