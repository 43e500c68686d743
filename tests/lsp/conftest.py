"""A client of `pipeflow lsp`, and one file that is open in it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest_asyncio
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

MODULE: Final = '''from collections.abc import Iterator


def words(path: str) -> Iterator[str]:
    """The words of a file.

    Args:
        path: Where it lies.
    """
    yield path


def shout(word: str, times: int = 1) -> str:
    """Say it loudly."""
    return word.upper() * times
'''
PIPELINE: Final = """params:
  file: {type: path, default: a.txt}

stages:
  words:
    call: work:words
    with:
      path: ${params.file}

  shout:
    call: work:shout
    description: Loud words.
    inputs: words

  both:
    use: print
    inputs:
      - words
      - from: shout
        capacity: 8
"""

PATIENCE_S: Final = 5.0

#: What the server says that it can do.
WATCHED: Final[list[str]] = []
SERVER: Final[dict[str, types.ServerCapabilities]] = {}


@pytest_lsp.fixture(  # type: ignore[untyped-decorator]  # pytest-lsp does not say its type
    scope="module",
    config=ClientServerConfig(server_command=[sys.executable, "-m", "pipeflow", "lsp", "--stdio"]),
)
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)  # type: ignore[untyped-decorator]  # likewise
    def register(params: types.RegistrationParams) -> None:
        WATCHED.extend(one.method for one in params.registrations)

    capabilities = client_capabilities("visual-studio-code")
    answer = await lsp_client.initialize_session(
        types.InitializeParams(capabilities=capabilities, root_uri=None)
    )
    SERVER["it"] = answer.capabilities
    yield
    await lsp_client.shutdown_session()


class Editor:
    """One file that is open, in a folder with its module."""

    def __init__(self, client: LanguageClient, folder: Path, text: str = PIPELINE) -> None:
        self.client = client
        self.path = folder / "pipeline.yaml"
        self.uri = self.path.as_uri()
        self.text = text
        self.version = 1
        (folder / "work.py").write_text(MODULE, encoding="utf-8")
        self.path.write_text(text, encoding="utf-8")

    async def open(self) -> list[str]:
        """Open it; what is said of it."""
        item = types.TextDocumentItem(self.uri, "yaml", self.version, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.told()

    async def write(self, text: str) -> list[str]:
        """Type a new text over the old one; what is said of it."""
        self.version += 1
        self.text = text
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, self.uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        return await self.told()

    async def told(self) -> list[str]:
        """``line:column code`` of each diagnostic of this version, counted from 1."""
        await self._publishes(self.version)
        return [
            f"{each.range.start.line + 1}:{each.range.start.character + 1} {each.code}"
            for each in self.client.diagnostics[self.uri]
        ]

    async def close(self) -> None:
        """Shut it; then nothing is said of it any more."""
        identifier = types.TextDocumentIdentifier(self.uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))
        await self._publishes(None)

    async def _publishes(self, version: int | None) -> None:
        """Wait for what the server says of a version: one message for each thing we do."""
        said = await asyncio.wait_for(
            self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS), PATIENCE_S
        )
        assert (said.uri, said.version) == (self.uri, version)

    def at(self, mark: str) -> dict[str, Any]:
        """The place one character into a piece of the text."""
        before = self.text[: self.text.index(mark) + 1]
        place = types.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
        return {"text_document": types.TextDocumentIdentifier(self.uri), "position": place}


@pytest_asyncio.fixture(loop_scope="module")
async def editor(client: LanguageClient, tmp_path: Path) -> AsyncIterator[Editor]:
    one = Editor(client, tmp_path)
    yield one
    await one.close()
