"""Renaming stages and params, by a real client."""

from __future__ import annotations

import pytest
from lsprotocol import types

from tests.lsp.conftest import PIPELINE, Editor

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_a_file_that_cannot_be_read_to_its_end_is_not_renamed_in_half(
    editor: Editor,
) -> None:
    editor.text = PIPELINE + "  both: {use: print, inputs: words}\n"
    await editor.open()

    with pytest.raises(Exception, match="mend that first"):
        await rename(editor, "words:\n    call", "terms")
