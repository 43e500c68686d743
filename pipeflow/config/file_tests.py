"""From ``tests`` to ``FileTest`` values; that stages and ports exist is the planner's to judge."""

from __future__ import annotations

from collections.abc import Iterator

from pipeflow.config.cursor import Cursor
from pipeflow.config.expressions import check_expression
from pipeflow.config.interpolate import Scope
from pipeflow.config.nodes import FROM_PARAM, Map, Node, Scalar, Seq, plain
from pipeflow.config.params import read_params
from pipeflow.errors import Finding
from pipeflow.spec.pipeline import Expected, FileTest, Given, PortRef
from pipeflow.spec.ports import OUT
from pipeflow.values import replace


def read_tests(root: Cursor) -> tuple[FileTest, ...]:
    """The tests of a file, as far as their shape is right."""
    tests = root.inner("tests")
    return () if tests is None else tuple(_tests(tests))


def param_findings(tests: Node | None, declared: Node | None, scope: Scope) -> list[Finding]:
    """What is wrong with the ``params`` of tests, which stand for ``--param``.

    Args:
        tests: ``tests`` of the file, filled in.
        declared: ``params`` of the file, not filled in.
        scope: For references in defaults.
    """
    found: list[Finding] = []
    for entry in tests.entries if isinstance(tests, Map) else ():
        params = entry.value.get("params") if isinstance(entry.value, Map) else None
        if not isinstance(params, Map):
            continue
        given = {one.key: plain(one.value) for one in params.entries}
        for finding in read_params(declared, given, scope).findings:
            if finding.at.file != FROM_PARAM:
                continue  # of the declarations: the whole file has been told of them
            one = params.entries[finding.at.line - 1]
            if finding.code == "unknown-param":
                found.append(replace(finding, at=one.key_at, length=one.key_length))
            else:
                found.append(replace(finding, at=one.value.at, length=one.value.length))
    return found


def _tests(tests: Cursor) -> Iterator[FileTest]:
    for entry in tests.entries():
        if not isinstance(entry.value, Map):
            continue
        test = tests.at(entry.value, entry.key)
        params = test.inner("params")
        yield FileTest(
            name=entry.key,
            at=entry.key_at,
            parameters={one.key: plain(one.value) for one in params.entries()} if params else {},
            given=tuple(_given(test.inner("given"))),
            expect=tuple(_expected(test.inner("expect"))),
            complete=not any(path[: len(test.path)] == test.path for path in test.wrong),
            description=test.text("description"),
        )


def _given(cursor: Cursor | None) -> Iterator[Given]:
    for entry in cursor.entries() if cursor else ():
        if isinstance(entry.value, Seq):
            yield Given(port=_port(entry.key), at=entry.key_at, items=_items(entry.value))


def _expected(cursor: Cursor | None) -> Iterator[Expected]:
    for entry in cursor.entries() if cursor else ():
        node = entry.value
        expected = Expected(
            port=_port(entry.key), at=entry.key_at, value_at=node.at, value_length=node.length
        )
        match node:
            case Seq():
                yield replace(expected, items=_items(node))
            case Map():
                assert cursor is not None
                yield _by_parts(expected, cursor.at(node, entry.key))
            case Scalar():
                pass  # has had its finding


def _by_parts(expected: Expected, cursor: Cursor) -> Expected:
    each, contains = cursor.get("each"), cursor.get("contains")
    if isinstance(each, Scalar) and isinstance(each.value, str):
        wrong = check_expression("each", each)
        if wrong is not None:
            cursor.findings.add(*wrong)
    return replace(
        expected,
        count=cursor.integer("count"),
        contains=_items(contains) if isinstance(contains, Seq) else (),
        each=cursor.text("each"),
        part_at={entry.key: entry.value.at for entry in cursor.entries()},
    )


def _items(node: Seq) -> tuple[object, ...]:
    return tuple(plain(item) for item in node.items)


def _port(text: str) -> PortRef:
    stage, _, port = text.partition(".")
    return PortRef(stage, port or OUT)
