"""http.post: items as requests to a server."""

from __future__ import annotations

from typing import Any

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.stages.author import metric
from pipeflow.stages.declare import operator
from pipeflow.stages.rendering import json_text, utf8
from pipeflow.stages.sinks.files import WRITTEN
from pipeflow.stages.web import HEADERS, TIMEOUT, URL_FORM, URL_PATTERN, Address, request

_MEDIA = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
}


@operator(
    name="http.post",
    role=Role.SINK,
    summary="Sends each item to a server, in a request of its own.",
    details=(
        "An answer that is an error (status 400 and up), or none in time, is an error of the "
        "item: `on_error` may try again. Several items go in one request, as a JSON array, when "
        "they come as a list. With `replicas` several requests are under way at a time."
    ),
    options=(
        Option(
            name="url",
            types=(OptionType.STRING,),
            default=REQUIRED,
            description="The address; `http://` or `https://`.",
            pattern=URL_PATTERN,
            form=URL_FORM,
            examples=("https://example.org/people",),
        ),
        Option(
            name="format",
            types=(OptionType.STRING,),
            default="json",
            description="What is sent.",
            choices=("json", "text", "bytes"),
            choice_docs=("the item as JSON", "the item as text", "the item, which is bytes"),
        ),
        Option(
            name="method",
            types=(OptionType.STRING,),
            default="POST",
            description="The kind of request.",
            choices=("POST", "PUT", "PATCH"),
            choice_docs=("add", "put in place", "change"),
        ),
        TIMEOUT,
        HEADERS,
    ),
    may_drop=True,
    example="""
stages:
  numbers:
    use: range
    with:
      stop: 3

  records:
    use: map
    inputs: numbers
    with:
      expr: '{"number": item}'

  send:
    use: http.post
    inputs: records
    with:
      url: "${env.SITE:-http://localhost:8000}/numbers"
""",
)
class Post:
    """Makes a request for each item, and waits for its answer."""

    def __init__(
        self,
        url: str,
        format: str,
        method: str,
        timeout: float,
        headers: dict[str, Any] | None,
    ) -> None:
        self._address = Address.of(url)
        self._format, self._method, self._timeout_s = format, method, timeout
        self._headers = {"Content-Type": _MEDIA[format], **(headers or {})}

    def __call__(self, item: Any) -> None:
        with request(
            self._address,
            headers=self._headers,
            timeout_s=self._timeout_s,
            method=self._method,
            body=self._body(item),
        ) as response:
            response.read()
        metric(WRITTEN).add(1)

    def _body(self, item: Any) -> bytes:
        match self._format:
            case "json":
                return utf8(json_text(item))
            case "text":
                return utf8(str(item))
            case _:
                if not isinstance(item, bytes | bytearray | memoryview):
                    kind = type(item).__name__
                    raise TypeError(f"with `format: bytes` an item is bytes, not {kind}")
                return bytes(item)
