"""What the tests of the editor ask of a language server; in their texts ``¦`` is the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.editor.language_server import Document, LanguageServer

#: As the examples bear it.
MODELINE: Final = "# yaml-language-server: $schema=../schemas/pipeline.schema.json\n"


def opened(
    server: LanguageServer, text: str, place: str = "pipeline.yaml", modeline: str = MODELINE
) -> tuple[Document, dict[str, int]]:
    """The text, open in the editor, and where its cursor is.

    Args:
        server: The server.
        text: The text.
        place: Its path, from the folder of the server.
        modeline: What stands above it.
    """
    whole = modeline + text
    before = whole[: whole.index("¦")] if "¦" in whole else whole
    cursor = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
    return server.open(place, whole.replace("¦", "")), cursor


def completions(server: LanguageServer, text: str, *where: str) -> dict[str, dict[str, Any]]:
    """What is offered at the cursor, by label."""
    document, cursor = opened(server, text, *where)
    answer = server.ask("completion", document, cursor)
    server.close_document(document)
    items = answer["items"] if isinstance(answer, dict) else answer or []
    labels = [item["label"].strip('"') for item in items]
    assert len(labels) == len(set(labels)), f"offered twice: {labels}"
    return dict(zip(labels, items, strict=True))


def hover(server: LanguageServer, text: str, *where: str) -> str:
    """What is shown for the word at the cursor."""
    document, cursor = opened(server, text, *where)
    answer = server.ask("hover", document, cursor)
    server.close_document(document)
    return str(answer["contents"]["value"]) if answer else ""


def told(server: LanguageServer, texts: dict[str, str], *where: str) -> dict[str, list[str]]:
    """``line:column message`` of each diagnostic, counted from 1 in the text without modeline."""
    documents = {name: opened(server, text, *where)[0] for name, text in texts.items()}
    said = {name: server.diagnostics(document) for name, document in documents.items()}
    for document in documents.values():
        server.close_document(document)
    return {name: sorted(map(_line, diagnostics)) for name, diagnostics in said.items()}


def _line(diagnostic: dict[str, Any]) -> str:
    start = diagnostic["range"]["start"]
    return f"{start['line']}:{start['character'] + 1} {diagnostic['message']}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What completion must offer at a place, and what it must not."""

    text: str
    some: tuple[str, ...]
    none: tuple[str, ...] = ()
