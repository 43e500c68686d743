"""A client of ``yaml-language-server``: opens a text, asks what an editor would ask.

    client ── requests, notifications ──> server
    client <── answers, diagnostics, questions (settings) ── server

One thread and one pipe each way: the client reads only while it waits for something, so what it
waits for is the next message, with a deadline.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Longest wait for any answer, in seconds.
PATIENCE: Final = 30.0

SETTINGS: Final = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        "schemaStore": {"enable": False},
        "format": {"enable": False},
    }
}


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is open in the editor.

    Attributes:
        uri: What the server knows it by.
        text: Its text.
    """

    uri: str
    text: str


class LanguageServer:
    """One running server; owns its process, and ends it in ``close``."""

    def __init__(self, program: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [*program, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._received = b""
        self._last_id = self._opened = 0
        self._said_of: dict[str, list[dict[str, Any]]] = {}
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder.as_uri(),
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "tests"}],
                "capabilities": {
                    "workspace": {"configuration": True, "workspaceFolders": True},
                    "textDocument": {
                        "completion": {
                            "completionItem": {
                                "snippetSupport": True,
                                "documentationFormat": ["markdown", "plaintext"],
                            }
                        },
                        "hover": {"contentFormat": ["markdown", "plaintext"]},
                        "codeAction": {
                            "codeActionLiteralSupport": {
                                "codeActionKind": {"valueSet": ["quickfix"]}
                            }
                        },
                    },
                },
            },
        )
        self._notify("initialized", {})
        self._notify("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def open(self, name: str, text: str) -> Document:
        """Open a text as a file of the folder."""
        # A name of its own for each: what is said of a closed document comes late.
        self._opened += 1
        path = self.folder / name
        document = Document(path.with_name(f"{self._opened}-{path.name}").as_uri(), text)
        opened = {"uri": document.uri, "languageId": "yaml", "version": 1, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": opened})
        return document

    def diagnostics(self, document: Document) -> list[dict[str, Any]]:
        """What the server says of a document; it takes its time to begin, for each by itself."""
        self._wait(lambda: document.uri in self._said_of)
        return self._said_of[document.uri]

    def close_document(self, document: Document) -> None:
        """The editor shows it no more."""
        self._notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})

    def ask(self, what: str, document: Document, place: dict[str, int]) -> Any:
        """``hover`` or ``completion`` at a place."""
        where = {"textDocument": {"uri": document.uri}, "position": place}
        return self.request(f"textDocument/{what}", where)

    def fixes(self, document: Document, diagnostic: dict[str, Any]) -> list[dict[str, Any]]:
        """The quick fixes for one diagnostic."""
        actions = self.request(
            "textDocument/codeAction",
            {
                "textDocument": {"uri": document.uri},
                "range": diagnostic["range"],
                "context": {"diagnostics": [diagnostic]},
            },
        )
        return [action for action in actions or () if action.get("kind") == "quickfix"]

    def request(self, method: str, params: Any) -> Any:
        """Ask, and wait for the answer."""
        self._last_id += 1
        number = self._last_id
        answers: list[dict[str, Any]] = []
        self._send({"id": number, "method": method, "params": params})
        self._wait(lambda: bool(answers), lambda message: _keep(message, number, answers))
        (answer,) = answers
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        """End the server."""
        self.request("shutdown", None)
        self._notify("exit", None)
        self._process.wait(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _wait(
        self, done: Callable[[], bool], hear: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            message = self._receive(deadline)
            if message.get("method") == "textDocument/publishDiagnostics":
                self._said_of[message["params"]["uri"]] = message["params"]["diagnostics"]
            elif "id" in message and "method" in message:
                self._answer(message)
            elif hear is not None:
                hear(message)

    def _answer(self, question: dict[str, Any]) -> None:
        result: Any = None
        if question["method"] == "workspace/configuration":
            sections = [item.get("section", "") for item in question["params"]["items"]]
            result = [SETTINGS.get(section, {}) for section in sections]
        self._send({"id": question["id"], "result": result})

    def _receive(self, deadline: float) -> dict[str, Any]:
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if separator:
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            if len(rest) >= length:
                self._received = rest[length:]
                message: dict[str, Any] = json.loads(rest[:length])
                return message
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], deadline - time.monotonic())
        assert ready, f"the server is silent since {PATIENCE:g} s"
        more = os.read(self._process.stdout.fileno(), 1 << 16)
        assert more, "the server has ended"
        self._received += more
        return self._receive(deadline)


def _keep(message: dict[str, Any], number: int, answers: list[dict[str, Any]]) -> None:
    if message.get("id") == number:
        answers.append(message)
