"""A web server of this process: it gives files, and keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Site:
    """What the server has and what it was asked.

    Attributes:
        url: Where it is.
        files: Path to what GET gives.
        answers: Path to a status, headers and body that any request gets.
        asked: Method, path and headers of each request, in order.
        sent: Body of each request that had one.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sent: list[bytes] = []

    def told(self) -> str:
        """All that it was sent, a line each."""
        return "".join(f"{body.decode()}\n" for body in self.sent)


@contextmanager
def served() -> Iterator[Site]:
    """A server on a free port, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            site.asked.append((self.command, self.path, dict(self.headers)))
            if length := int(self.headers.get("Content-Length", 0)):
                site.sent.append(self.rfile.read(length))
            default: tuple[int, dict[str, str], bytes] = (404, {}, b"not here")
            if self.path in site.files or self.command != "GET":
                default = (200, {}, site.files.get(self.path, b""))
            status, headers, body = site.answers.get(self.path, default)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        site = Site(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
