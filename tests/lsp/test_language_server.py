"""``pipeflow lsp``, driven by a real client: open, edit, look, rename."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

from tests.config.test_project_schema import big_project

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

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_a_good_file_has_no_diagnostics(editor: Editor) -> None:
    assert await editor.open() == []


async def test_a_cycle_appears_as_it_is_typed_and_goes_when_it_is_mended(editor: Editor) -> None:
    await editor.open()

    cycle = await editor.write(
        PIPELINE.replace("    call: work:shout\n", "    call: work:shout\n    x-a: 1\n").replace(
            "inputs: words", "inputs: both"
        )
    )
    mended = await editor.write(PIPELINE)

    assert "14:13 cycle" in cycle
    assert mended == []


async def test_a_diagnostic_has_its_hint_its_code_and_a_page_of_its_own(editor: Editor) -> None:
    await editor.open()

    await editor.write(PIPELINE.replace("inputs: words", "inputs: wrods"))

    (told,) = editor.client.diagnostics[editor.uri]
    assert told.message.startswith("stage 'shout' reads from 'wrods', and no stage has that name")
    assert "did you mean 'words' (line 5)?" in told.message
    assert (told.code, told.source) == ("unknown-stage", "pipeflow")
    assert told.severity is types.DiagnosticSeverity.Error
    assert told.code_description is not None
    assert told.code_description.href.endswith("/errors/unknown-stage")
    assert (told.range.start, told.range.end) == (types.Position(12, 12), types.Position(12, 17))


async def test_what_is_half_typed_is_told_and_breaks_nothing(editor: Editor) -> None:
    await editor.open()

    for text in (
        "",
        "stages:",
        "stages:\n  a",
        "stages: {a: [",
        PIPELINE[:100],
        "\t",
        "stages:\n  - a",
    ):
        await editor.write(text)

    assert await editor.write(PIPELINE) == []


async def test_the_file_of_another_tool_is_left_alone(editor: Editor) -> None:
    editor.text = "services:\n  db: {image: postgres}\n"

    assert await editor.open() == []


async def test_what_only_the_command_line_decides_is_information(editor: Editor) -> None:
    await editor.open()

    await editor.write(PIPELINE.replace(", default: a.txt", ""))

    assert [each.code for each in editor.client.diagnostics[editor.uri]] == ["missing-param"]
    assert editor.client.diagnostics[editor.uri][0].severity is types.DiagnosticSeverity.Information


async def test_places_count_as_the_editor_counts(editor: Editor) -> None:
    text = "stages:\n  a: {use: print, description: '🎉🎉', inptus: a}\n"
    editor.text = text

    assert "2:40 unknown-key" in await editor.open()


async def test_a_function_that_is_saved_is_seen_in_the_open_pipeline(editor: Editor) -> None:
    editor.text = PIPELINE.replace("work:shout", "work:whisper")
    before = await editor.open()

    module = editor.path.with_name("work.py")
    module.write_text(MODULE + "\n\ndef whisper(word: str) -> str:\n    return word\n", "utf-8")
    changes = [types.FileEvent(module.as_uri(), types.FileChangeType.Changed)]
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(changes))
    after = await editor.told()

    assert before == ["11:11 unknown-attribute"]
    assert after == []


async def test_a_stage_and_a_param_lead_to_where_they_are_named(editor: Editor) -> None:
    await editor.open()

    found = {}
    for mark in ("words\n\n  both", "shout\n        capacity", "file}"):
        where = await editor.client.text_document_definition_async(
            types.DefinitionParams(**editor.at(mark))
        )
        assert isinstance(where, types.Location)
        found[mark] = (where.range.start.line + 1, where.range.start.character + 1)

    assert list(found.values()) == [(5, 3), (10, 3), (2, 3)]


async def test_a_call_leads_to_the_function(editor: Editor) -> None:
    await editor.open()

    where = await editor.client.text_document_definition_async(
        types.DefinitionParams(**editor.at("work:shout"))
    )

    assert isinstance(where, types.Location)
    assert where.uri == editor.path.with_name("work.py").as_uri()
    assert where.range.start == types.Position(12, 0)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("work:shout", ("shout(word: str, times: int = 1) -> str", "Say it loudly.", "work.py:13")),
        ("shout\n        capacity", ("**stage `shout`**", "Loud words.", "Read by `both`")),
        ("print", ("Prints each item on standard output.",)),
        ("file}", ("**param `file`**", "type: `path`", "default: `a.txt`")),
    ],
)
async def test_a_hover_shows_the_signature(
    editor: Editor, mark: str, words: tuple[str, ...]
) -> None:
    await editor.open()

    shown = await editor.client.text_document_hover_async(types.HoverParams(**editor.at(mark)))

    assert shown is not None
    assert isinstance(shown.contents, types.MarkupContent)
    assert [word for word in words if word not in shown.contents.value] == []


async def rename(editor: Editor, mark: str, new: str) -> str:
    """The text after a rename."""
    edit = await editor.client.text_document_rename_async(
        types.RenameParams(new_name=new, **editor.at(mark))
    )
    assert edit is not None
    assert edit.changes is not None
    lines = editor.text.split("\n")
    for each in sorted(edit.changes[editor.uri], key=lambda one: one.range.start.character)[::-1]:
        start, end = each.range.start, each.range.end
        line = lines[start.line]
        lines[start.line] = line[: start.character] + each.new_text + line[end.character :]
    return "\n".join(lines)


async def test_renaming_a_stage_renames_it_wherever_it_is_read(editor: Editor) -> None:
    await editor.open()

    by_key = await rename(editor, "words:\n    call", "terms")
    by_reader = await rename(editor, "words\n\n  both", "terms")

    assert by_key == by_reader
    assert "  terms:\n    call: work:words\n" in by_key
    assert "inputs: terms\n" in by_key
    assert "      - terms\n" in by_key
    assert await editor.write(by_key) == []


async def test_renaming_keeps_ports_quotes_and_named_inputs(editor: Editor) -> None:
    editor.text = (
        "stages:\n  'a': {call: 'work:words', on_error: stop, outputs: [m]}\n"
        '  b: {use: print, inputs: "a.m"}\n'
        "  c: {use: print, inputs: {left: a, right: {from: a.m}}}\n"
    )
    await editor.open()

    after = await rename(editor, 'a.m"', "first")

    assert after == editor.text.replace("'a'", "'first'").replace("a.m", "first.m").replace(
        "left: a", "left: first"
    )


async def test_renaming_a_param_renames_its_references(editor: Editor) -> None:
    await editor.open()

    after = await rename(editor, "file}", "source")

    assert "  source: {type: path" in after
    assert "${params.source}" in after


@pytest.mark.parametrize(
    ("new", "why"),
    [("shout", "there is a stage 'shout' already"), ("Shout", "already"), ("1st", "is no name")],
)
async def test_a_name_that_cannot_be_is_refused_with_a_sentence(
    editor: Editor, new: str, why: str
) -> None:
    await editor.open()

    with pytest.raises(Exception, match=why):
        await rename(editor, "words:\n    call", new)


async def test_only_names_can_be_renamed(editor: Editor) -> None:
    await editor.open()

    async def may(mark: str) -> bool:
        answer = await editor.client.text_document_prepare_rename_async(
            types.PrepareRenameParams(**editor.at(mark))
        )
        return answer is not None

    assert await may("words:\n    call")
    assert not await may("work:shout")
    assert not await may("capacity")


async def test_the_symbols_of_a_file_are_its_params_and_stages(editor: Editor) -> None:
    await editor.open()

    symbols = await editor.client.text_document_document_symbol_async(
        types.DocumentSymbolParams(types.TextDocumentIdentifier(editor.uri))
    )

    assert symbols is not None
    shown = [(one.name, getattr(one, "detail", "")) for one in symbols]
    assert shown == [
        ("file", ""),
        ("words", "work:words"),
        ("shout", "work:shout"),
        ("both", "print"),
    ]


async def test_all_readers_of_a_stage_are_found(editor: Editor) -> None:
    await editor.open()

    found = await editor.client.text_document_references_async(
        types.ReferenceParams(
            context=types.ReferenceContext(include_declaration=False),
            **editor.at("words:\n    call"),
        )
    )

    assert found is not None
    assert [one.range.start.line + 1 for one in found] == [13, 18]


async def test_it_asks_to_be_told_when_python_changes(editor: Editor) -> None:
    await editor.open()

    assert WATCHED == [types.WORKSPACE_DID_CHANGE_WATCHED_FILES]


async def test_it_offers_no_completion(client: LanguageClient) -> None:
    assert SERVER["it"].completion_provider is None
    assert SERVER["it"].rename_provider is not None


async def test_the_first_diagnostics_of_fifty_stages_take_less_than_half_a_second(
    client: LanguageClient, tmp_path: Path
) -> None:
    editor = Editor(client, tmp_path)
    big_project(tmp_path)
    editor.text = (tmp_path / "big.yaml").read_text(encoding="utf-8")

    begun = time.perf_counter()
    told = await editor.open()
    took = time.perf_counter() - begun

    assert told == ["245:3 unread-output"]
    assert took < 0.5


async def test_a_file_that_cannot_be_read_to_its_end_is_not_renamed_in_half(
    editor: Editor,
) -> None:
    editor.text = PIPELINE + "  both: {use: print, inputs: words}\n"
    await editor.open()

    with pytest.raises(Exception, match="mend that first"):
        await rename(editor, "words:\n    call", "terms")
