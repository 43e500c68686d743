"""http.get: what servers answer, by lines, as JSON, or as it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pipeflow.spec.options import REQUIRED, Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import Misuse
from pipeflow.stages.declare import operator, refused
from pipeflow.stages.sources.opening import lines_of
from pipeflow.stages.sources.waiting import ticks
from pipeflow.stages.web import (
    HEADERS,
    TIMEOUT,
    URL_FORM,
    URL_PATTERN,
    Address,
    RequestFailed,
    request,
)
from pipeflow.stages.work import BadRecord

if TYPE_CHECKING:
    from http.client import HTTPResponse

#: What a whole answer may hold, in bytes; lines may be without end.
_MOST_BYTES: Final = 256 * 2**20


def _judge(given: Mapping[str, object]) -> Sequence[Misuse]:
    """How often is said of what is asked again; each address of a list is one."""
    if given.get("count") is not None and given.get("every") is None:
        return [Misuse("count", "parameter 'count' goes with 'every'", "every: 10s")]
    urls = given.get("url")
    several = urls if isinstance(urls, list) else []
    return [
        each
        for url in several
        for each in refused("url", partial(_address, url), "https://example.org/data")
    ]


def _address(url: object) -> Address:
    return Address.of(str(url))


@operator(
    name="http.get",
    role=Role.SOURCE,
    summary="What a server answers to GET, a line, a record or a whole answer an item.",
    details=(
        "Several addresses are asked one after the other. A server that cannot be reached, an "
        "answer that is an error (status 400 and up), and a line that cannot be read are bad "
        "records; the item is the address, or the line. With `every` they are asked again and "
        "again; Ctrl-C ends the wait. Nothing is asked before the run."
    ),
    options=(
        Option(
            name="url",
            types=(OptionType.STRING, OptionType.LIST),
            default=REQUIRED,
            description="The address, or a list of addresses; `http://` or `https://`.",
            pattern=URL_PATTERN,
            form=URL_FORM,
            examples=("https://example.org/people.jsonl",),
        ),
        Option(
            name="format",
            types=(OptionType.STRING,),
            default="lines",
            description="What an item is.",
            choices=("lines", "jsonl", "json", "text", "bytes"),
            choice_docs=(
                "a line of the answer, as text, as soon as it comes",
                "the JSON value of a line",
                "the whole answer, which is one JSON value",
                "the whole answer, as text",
                "the whole answer, as bytes",
            ),
        ),
        Option(
            name="every",
            types=(OptionType.DURATION,),
            default=None,
            description="Ask again after this interval, like `timer`; without it, ask once.",
            minimum=0.001,
            examples=("10s",),
        ),
        Option(
            name="count",
            types=(OptionType.INTEGER,),
            default=None,
            description="With `every`: how many times to ask; without it, without end.",
            minimum=1,
            examples=(6,),
        ),
        TIMEOUT,
        HEADERS,
    ),
    single=True,
    judge=_judge,
    example="""
stages:
  people:
    use: http.get
    with:
      url: "${env.SITE:-http://localhost:8000}/people.jsonl"
      format: jsonl

  show:
    use: print
    inputs: people
""",
    example_files={"people.jsonl": '{"name": "Ada", "age": 36}\n{"name": "Tim", "age": 7}\n'},
)
class Get:
    """Asks when the first item is asked for."""

    def __init__(
        self,
        url: str | list[Any],
        format: str,
        every: float | None,
        count: int | None,
        timeout: float,
        headers: dict[str, Any] | None,
    ) -> None:
        self._addresses = [_address(one) for one in ([url] if isinstance(url, str) else url)]
        self._format, self._every_s, self._count = format, every, count
        self._timeout_s, self._headers = timeout, headers

    def __call__(self) -> Iterator[Any]:
        for _ in (0,) if self._every_s is None else ticks(self._every_s, self._count):
            for address in self._addresses:
                yield from self._asked(address)

    def _asked(self, address: Address) -> Iterator[Any]:
        from http.client import HTTPException

        try:
            with request(address, headers=self._headers, timeout_s=self._timeout_s) as response:
                yield from self._items(response, address)
        except RequestFailed as error:
            yield BadRecord(address.url, error)
        except (OSError, EOFError, HTTPException) as error:
            what = f"GET {address.shown}: the answer ends early"
            reason = str(error) or type(error).__name__
            yield BadRecord(address.url, RequestFailed(f"{what}: {reason}"))

    def _items(self, response: HTTPResponse, address: Address) -> Iterator[Any]:
        charset = response.headers.get_content_charset() or "utf-8"
        packed = response.headers.get("Content-Encoding", "").lower() == "gzip"
        stream = gzip.GzipFile(fileobj=response) if packed else response
        if self._format in {"lines", "jsonl"}:
            read = json.loads if self._format == "jsonl" else str
            for number, line in enumerate(lines_of(_whole_lines(stream, response)), 1):
                if self._format == "jsonl" and not line.strip():
                    continue
                try:
                    item = read(line.decode(charset))
                except (ValueError, RecursionError) as error:
                    place = f"{address.shown}, line {number}"
                    yield BadRecord(line, ValueError(f"{place}: {error}"))
                else:
                    yield item
            return
        body = stream.read(_MOST_BYTES + 1)
        if len(body) <= _MOST_BYTES:
            _see_that_all_came(response)
        try:
            yield self._whole(body, charset)
        except (ValueError, RecursionError) as error:
            yield BadRecord(address.url, ValueError(f"GET {address.shown}: {error}"))

    def _whole(self, body: bytes, charset: str) -> Any:
        if len(body) > _MOST_BYTES:
            raise ValueError(f"the answer has more than {_MOST_BYTES // 2**20} MiB")
        if self._format == "bytes":
            return body
        text = body.decode(charset)
        return json.loads(text) if self._format == "json" else text


def _whole_lines(stream: Iterable[bytes], response: HTTPResponse) -> Iterator[bytes]:
    """The lines; one that the end of the connection has cut off is none.

    Raises:
        EOFError: It has.
    """
    for line in stream:
        if not line.endswith(b"\n"):
            _see_that_all_came(response)
        yield line
    _see_that_all_came(response)


def _see_that_all_came(response: HTTPResponse) -> None:
    """Python leaves it to us to see that as much came as the server has said.

    Raises:
        EOFError: Less did.
    """
    if response.length:
        raise EOFError(f"{response.length:,} bytes are missing")
