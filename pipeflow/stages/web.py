"""Requests by HTTP, for the operators that make them. Opens no connection before it is asked to."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pipeflow.spec.options import Option, OptionType
from pipeflow.values import dataclass

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector, Request

#: So much of what a server says of a mistake is told.
_SHOWN: Final = 200
_PORTS: Final = {"http": 80, "https": 443}

HEADERS: Final = Option(
    name="headers",
    types=(OptionType.MAPPING,),
    default=None,
    description=(
        "Further headers. A secret comes from a param with `secret: true`, which is never shown; "
        "headers never go to another server that the first one points to."
    ),
    examples=({"Authorization": "Bearer ${params.token}"},),
)
TIMEOUT: Final = Option(
    name="timeout",
    types=(OptionType.DURATION,),
    default=30.0,
    description="The longest wait for the server to answer, or to go on.",
    minimum=0.001,
    examples=("5s",),
)
#: What an address is.
URL_PATTERN: Final = r"https?://[^\s/].*"
URL_FORM: Final = "an address that begins with http:// or https://"


class RequestFailed(OSError):
    """A server cannot be reached, or says no. The text holds no password and no query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a request goes.

    Attributes:
        url: Without a name and password, which go into a header.
        shown: For people: without the query too, which may hold a key.
        authorization: The header of the name and password; empty without.
    """

    url: str
    shown: str
    authorization: str = ""

    @classmethod
    def of(cls, text: str) -> Address:
        """An address as the file has it.

        Raises:
            ValueError: It is none of the web.
        """
        parts = urlsplit(text)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{_bare(parts)!r} is no address: it begins with http:// or https://")
        authorization = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
        return cls(url=urlunsplit(plain), shown=_bare(plain), authorization=authorization)


def request(
    address: Address,
    *,
    headers: Mapping[str, Any] | None,
    timeout_s: float,
    method: str = "GET",
    body: bytes | None = None,
) -> HTTPResponse:
    """Ask a server, and follow where it points to; the caller closes the answer.

    Raises:
        RequestFailed: It cannot be reached, or its answer is an error.
    """
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    said = {"User-Agent": "pipeflow", **{str(k): str(v) for k, v in (headers or {}).items()}}
    if address.authorization:
        said.setdefault("Authorization", address.authorization)
    asked = urllib.request.Request(address.url, data=body, headers=said, method=method)  # noqa: S310 - of http and https only
    what = f"{method} {address.shown}"
    try:
        response: HTTPResponse = _opener().open(asked, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            told = error.read(_SHOWN).decode("utf-8", "replace").strip()
        words = " ".join(told.split())
        more = f": {words}" if words else ""
        raise RequestFailed(f"{what}: {error.code} {error.reason}{more}") from None
    except urllib.error.URLError as error:
        raise RequestFailed(f"{what}: {_reason(error.reason)}") from None
    except (OSError, HTTPException) as error:
        raise RequestFailed(f"{what}: {_reason(error)}") from None
    return response


@cache
def _opener() -> OpenerDirector:
    """Follows where a server points to, with care: headers may hold keys."""
    import urllib.error
    import urllib.request

    class KeepsHeadersHome(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
        ) -> Request | None:
            if urlsplit(newurl).scheme not in _PORTS:
                raise urllib.error.URLError(f"it points to {_bare(urlsplit(newurl))}")
            new = super().redirect_request(req, fp, code, msg, headers, newurl)
            if new is not None and _server(new.full_url) != _server(req.full_url):
                new.headers = {"User-agent": "pipeflow"}
            return new

    return urllib.request.build_opener(KeepsHeadersHome)


def _server(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _bare(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    query = "..." if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
