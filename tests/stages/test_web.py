"""http.get and http.post, against a server in this process."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from pipeflow.stages.web import Address
from tests.stages.sites import Site, served
from tests.stages.working import bad, feed, given, sink

PEOPLE = b'{"name": "Ada"}\n\nbroken\n{"name": "Tim"}\n'


@pytest.mark.parametrize(
    ("form", "items"),
    [
        ("lines", ['{"name": "Ada"}', "", "broken", '{"name": "Tim"}']),
        ("text", [PEOPLE.decode()]),
        ("bytes", [PEOPLE]),
    ],
)
def test_an_answer_comes_by_lines_or_as_a_whole(site: Site, form: str, items: list[Any]) -> None:
    site.files["/people"] = PEOPLE

    assert given("http.get", url=f"{site.url}/people", format=form) == items


def test_a_line_that_is_no_json_is_a_bad_record(site: Site) -> None:
    site.files["/people"] = PEOPLE

    items = given("http.get", url=f"{site.url}/people", format="jsonl")

    assert [item for item in items if isinstance(item, dict)] == [{"name": "Ada"}, {"name": "Tim"}]
    ((line, reason),) = bad(items)
    assert line == b"broken"
    assert reason.startswith(f"{site.url}/people, line 3: Expecting value")


def test_json_is_one_item_whatever_it_is(site: Site) -> None:
    site.files["/list"] = b"[1, 2]"
    site.answers["/packed"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"a": 1}'))
    urls = [f"{site.url}/{name}" for name in ("list", "packed")]

    assert given("http.get", url=urls, format="json") == [[1, 2], {"a": 1}]


def test_an_address_that_gives_nothing_is_a_bad_record_and_the_next_one_is_asked(
    site: Site,
) -> None:
    site.files["/there"] = b"here\n"
    with served() as gone:
        closed = gone.url
    urls = [f"{site.url}/nowhere?key=secret", closed, f"{site.url}/there"]

    items = given("http.get", url=urls)

    assert items[2:] == ["here"]
    first, second = bad(items)
    assert first == (urls[0], f"GET {site.url}/nowhere?...: 404 Not Found: not here")
    assert second == (closed, f"GET {closed}: Connection refused")


@pytest.mark.parametrize(("form", "before"), [("lines", ["one"]), ("text", [])])
def test_an_answer_that_is_cut_short_is_a_bad_record(
    site: Site, form: str, before: list[str]
) -> None:
    url = f"{site.url}/short"
    site.answers["/short"] = (200, {"Content-Length": "100"}, b"one\ntw")

    items = given("http.get", url=url, format=form)

    assert items[:-1] == before
    assert bad(items) == [(url, f"GET {url}: the answer ends early: 94 bytes are missing")]


def test_an_address_is_asked_again_as_often_as_said(site: Site) -> None:
    site.files["/now"] = b"1\n"

    assert given("http.get", url=f"{site.url}/now", every="1ms", count=3) == ["1", "1", "1"]
    with pytest.raises(ValueError, match="'count' goes with 'every'"):
        given("http.get", url=site.url, count=3)


def test_headers_and_passwords_go_to_the_server_and_nowhere_else(site: Site) -> None:
    with served() as other:
        other.files["/moved"] = b"there\n"
        site.answers["/old"] = (302, {"Location": f"{other.url}/moved"}, b"")
        url = f"{site.url}/old".replace("http://", "http://ada:p%40ss@")

        items = given("http.get", url=url, headers={"X-Key": "secret"})

        assert items == ["there"]
        (asked,), (redirected,) = site.asked, other.asked
        assert asked[2]["Authorization"] == "Basic YWRhOnBAc3M="
        assert asked[2]["X-Key"] == "secret"
        assert not {"Authorization", "X-Key", "X-key"} & redirected[2].keys()


def test_an_error_shows_neither_password_nor_query() -> None:
    address = Address.of("https://ada:secret@example.org/a?key=secret#x")

    assert address.shown == "https://example.org/a?..."
    assert address.url == "https://example.org/a?key=secret"
    with pytest.raises(ValueError, match=r"'ftp://example\.org/' is no address"):
        Address.of("ftp://ada:secret@example.org/")


def test_a_server_may_not_point_to_a_file(site: Site) -> None:
    site.answers["/trick"] = (302, {"Location": "file:///etc/passwd"}, b"")

    items = given("http.get", url=f"{site.url}/trick", format="text")

    assert len(items) == len(bad(items)) == 1


def test_items_are_sent_as_json_text_or_bytes(site: Site) -> None:
    url = f"{site.url}/in"

    refused = [
        *feed(sink("http.post", url=url), [{"a": 1}, [1, 2]]),
        *feed(sink("http.post", url=url, format="text", method="PUT"), ["ä"]),
        *feed(sink("http.post", url=url, format="bytes"), [b"\x00", "text"]),
    ]

    assert site.sent == [b'{"a": 1}', b"[1, 2]", "ä".encode(), b"\x00"]
    assert [method for method, _, _ in site.asked] == ["POST", "POST", "PUT", "POST"]
    assert site.asked[0][2]["Content-Type"] == "application/json"
    assert refused == ["with `format: bytes` an item is bytes, not str"]


def test_an_item_that_the_server_refuses_fails_alone(site: Site) -> None:
    site.answers["/full?key=1"] = (507, {}, b"no\nroom")

    refused = feed(sink("http.post", url=f"{site.url}/full?key=1"), [{"a": 1}])

    assert refused == [f"POST {site.url}/full?...: 507 Insufficient Storage: no room"]
