"""``pipeflow lsp``, driven by a real client: open, edit, look."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lsprotocol import types
from pytest_lsp import LanguageClient

from tests.config.test_project_schema import big_project
from tests.lsp.conftest import MODULE, PIPELINE, SERVER, WATCHED, Editor

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
