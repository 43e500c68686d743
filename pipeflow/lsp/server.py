"""The server itself: the protocol on one side, plain functions on the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from pipeflow.api import __version__
from pipeflow.config.recognise import is_pipeline
from pipeflow.config.schema.nodes import MANUAL
from pipeflow.errors import Finding, Severity
from pipeflow.lsp.checking import OUTSIDE, findings
from pipeflow.lsp.outline import Kind, Name, Outline, outline
from pipeflow.lsp.rename import renamed
from pipeflow.lsp.words import Surroundings, defined_at, hover
from pipeflow.stages.registry import stage_types

#: Seconds that a text must rest before it is checked: a word is typed in less than three of these.
PAUSE_S: Final = 0.05

_SEVERITIES: Final = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
}


def make_server() -> LanguageServer:
    """A server that has not begun."""
    server = LanguageServer(
        "pipeflow", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Incremental
    )
    _add_checking(server)
    _add_looking(server)
    _add_renaming(server)
    return server


def _add_checking(server: LanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        _check(server, params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        await asyncio.sleep(PAUSE_S)
        uri, version = params.text_document.uri, params.text_document.version
        # Who types on is checked when the last letter rests.
        if _is_open(server, uri) and server.workspace.get_text_document(uri).version == version:
            _check(server, uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(_params: types.DidSaveTextDocumentParams) -> None:
        _check_all(server)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def modules_changed(_params: types.DidChangeWatchedFilesParams) -> None:
        _check_all(server)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        _publish(server, params.text_document.uri, [])

    @server.feature(types.INITIALIZED)
    def initialized(_params: types.InitializedParams) -> None:
        _watch_modules(server)


def _add_looking(server: LanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> types.Location | None:
        document, file, name = _name_at(server, params)
        if name is None:
            return None
        if name.kind in {Kind.CALL, Kind.FILE}:
            place = defined_at(name, _around(document))
            if place is None:
                return None
            start = types.Position(place.line - 1, 0)
            return types.Location(from_fs_path(str(place.file)) or "", types.Range(start, start))
        found = file.definition(name)
        return types.Location(document.uri, _range(document, found)) if found else None

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(params: types.ReferenceParams) -> list[types.Location]:
        document, file, name = _name_at(server, params)
        if name is None:
            return []
        wanted = params.context.include_declaration
        return [
            types.Location(document.uri, _range(document, one))
            for one in file.same(name)
            if wanted or not one.defines
        ]

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def shown(params: types.HoverParams) -> types.Hover | None:
        document, file, name = _name_at(server, params)
        words = hover(name, file, _around(document)) if name else ""
        if name is None or not words:
            return None
        content = types.MarkupContent(types.MarkupKind.Markdown, words)
        return types.Hover(content, _range(document, name))

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        document, file = _outline(server, params.text_document.uri)
        kinds = {
            Kind.PARAM: types.SymbolKind.Variable,
            Kind.SHARED: types.SymbolKind.Object,
            Kind.STAGE: types.SymbolKind.Function,
        }
        return [
            types.DocumentSymbol(
                name=one.text,
                kind=kinds[one.kind],
                range=_range(document, one),
                selection_range=_range(document, one),
                detail=_work_of(one, file),
            )
            for kind in kinds
            for one in file.defined(kind)
        ]


def _add_renaming(server: LanguageServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
        document, file, name = _name_at(server, params)
        if name is None:
            return None
        places = renamed(name, params.new_name, file)
        if isinstance(places, str):
            raise JsonRpcInvalidParams(places)
        edits = [types.TextEdit(_range(document, one), params.new_name) for one in places]
        return types.WorkspaceEdit(changes={document.uri: edits})

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(params: types.PrepareRenameParams) -> types.Range | None:
        document, file, name = _name_at(server, params)
        if name is None or isinstance(renamed(name, name.text, file), str):
            return None
        return _range(document, name)


def _check_all(server: LanguageServer) -> None:
    """A module, or another file, has changed: what is open may read differently."""
    for uri in list(server.workspace.text_documents):
        _check(server, uri)


def _check(server: LanguageServer, uri: str) -> None:
    document = server.workspace.get_text_document(uri)
    found: Sequence[Finding] = ()
    if is_pipeline(document.path, document.source):
        found = findings(document.path, document.source, os.environ)
    _publish(server, uri, [_diagnostic(document, each) for each in found], document.version)


def _publish(
    server: LanguageServer,
    uri: str,
    diagnostics: list[types.Diagnostic],
    version: int | None = None,
) -> None:
    server.text_document_publish_diagnostics(
        types.PublishDiagnosticsParams(uri=uri, diagnostics=diagnostics, version=version)
    )


def _diagnostic(document: TextDocument, finding: Finding) -> types.Diagnostic:
    hint = f"\n{finding.hint}" if finding.hint else ""
    severity = _SEVERITIES[finding.severity]
    if finding.code in OUTSIDE:
        severity = types.DiagnosticSeverity.Information
    return types.Diagnostic(
        range=_span(document, finding.at.line, finding.at.column, finding.length),
        message=finding.problem + hint,
        severity=severity,
        code=finding.code,
        code_description=types.CodeDescription(f"{MANUAL}/errors/{finding.code}"),
        source="pipeflow",
    )


def _is_open(server: LanguageServer, uri: str) -> bool:
    return uri in server.workspace.text_documents


def _watch_modules(server: LanguageServer) -> None:
    """Ask the editor to tell when Python or another pipeline changes, if it can."""
    workspace = server.client_capabilities.workspace
    watched = workspace.did_change_watched_files if workspace else None
    if watched is None or not watched.dynamic_registration:
        return
    options = types.DidChangeWatchedFilesRegistrationOptions(
        watchers=[types.FileSystemWatcher(glob_pattern="**/*.{py,yaml,yml}")]
    )
    registration = types.Registration(
        id="modules",
        method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
        register_options=options,
    )
    server.client_register_capability(types.RegistrationParams([registration]))


def _outline(server: LanguageServer, uri: str) -> tuple[TextDocument, Outline]:
    document = server.workspace.get_text_document(uri)
    known = is_pipeline(document.path, document.source)
    return document, outline(document.source) if known else Outline((), None)


def _name_at(server: LanguageServer, params: Any) -> tuple[TextDocument, Outline, Name | None]:
    document, file = _outline(server, params.text_document.uri)
    place = document.position_codec.position_from_client_units(document.lines, params.position)
    return document, file, file.at(place.line + 1, place.character + 1)


def _around(document: TextDocument) -> Surroundings:
    folder = str(Path(to_fs_path(document.uri) or document.path).parent)
    return Surroundings(folder, sys.path, dict(stage_types()))


def _range(document: TextDocument, name: Name) -> types.Range:
    return _span(document, name.line, name.column, len(name.text))


def _span(document: TextDocument, line: int, column: int, length: int) -> types.Range:
    """A stretch of one line, from characters counted from 1 to what the editor counts."""
    start = types.Position(line - 1, column - 1)
    end = types.Position(line - 1, column - 1 + length)
    return document.position_codec.range_to_client_units(document.lines, types.Range(start, end))


def _work_of(name: Name, file: Outline) -> str:
    works = (one.text for one in file.names if one.stage == name.text and one.kind in _WORKS)
    return next(works, "") if name.kind is Kind.STAGE else ""


_WORKS: Final = {Kind.CALL, Kind.USE, Kind.FILE}
