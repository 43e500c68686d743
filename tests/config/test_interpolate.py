"""References in values."""

from __future__ import annotations

import pytest

from pipeflow.config.interpolate import Scope, fill
from pipeflow.config.nodes import Map, Node, Scalar, at_path, plain
from pipeflow.config.reader import read_text
from pipeflow.errors import Finding, Location

AT = Location("p.yaml", 1, 1)
PARAMS: dict[str, Node] = {
    "width": Scalar(at=AT, value=256, text="256"),
    "name": Scalar(at=AT, value="${env.A}", text="${env.A}"),
}


def filled(text: str) -> tuple[Map, tuple[Finding, ...]]:
    root = read_text(text, "p.yaml").root
    assert root is not None
    environ = {"A": "7", "EMPTY": "", "HOME": "/h"}
    scope = Scope(
        environ=environ, folder="/f", run_id="r1", params=PARAMS, sources={"p.yaml": text}
    )
    return fill(root, scope, lambda path: path[-1] == "call")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${params.width}", 256),
        ("x${params.width}y", "x256y"),
        ("${env.A}", "7"),
        ("${env.NONE:-4}", "4"),
        ("${env.EMPTY:-4}", "4"),
        ("${file.dir}/${run.id}", "/f/r1"),
        ("$${x} $y $", "${x} $y $"),
        ("${params.name}", "${env.A}"),
    ],
)
def test_a_reference_is_filled_in_once_and_keeps_its_type(text: str, value: object) -> None:
    root, findings = filled(f"a: '{text}'")

    assert findings == ()
    assert plain(root) == {"a": value}


def test_text_from_the_environment_is_marked() -> None:
    root, _ = filled("a: ${env.A}\nb: plain\n")

    a, b = at_path(root, ("a",)), at_path(root, ("b",))
    assert isinstance(a, Scalar)
    assert isinstance(b, Scalar)
    assert (a.from_text, b.from_text) == (True, False)


def test_skipped_values_and_replica_in_env_stay_as_they_are() -> None:
    text = 'stages: {a: {call: "m:${params.width}", env: {R: "${replica}-${params.width}"}}}'

    root, findings = filled(text)

    assert findings == ()
    expected = {"call": "m:${params.width}", "env": {"R": "${replica}-256"}}
    assert plain(root) == {"stages": {"a": expected}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a: "\\t ${env.HOEM}"', "1:8 unset-variable environment variable 'HOEM' is not set"),
        ("a: ${env.X:?set X}", "1:4 unset-variable environment variable 'X' is not set: set X"),
        ("a: ${params.widht}", "1:4 unknown-param no parameter 'widht'"),
        ("a: b ${", '1:6 unclosed-reference "${" is not closed'),
        ("a: ${HOME}", '1:4 bad-reference "${HOME}" names nothing'),
        ("a: ${replica}", "1:4 bad-reference ${replica} is known under 'env' only"),
        (
            'a: "${env.X:-${env.HOME}}"',
            (
                '1:5 bad-reference "${env.X:-${env.HOME" holds another reference, '
                "and values are filled in once"
            ),
        ),
        (
            "a: ${shared.x}",
            "1:4 bad-reference ${shared.x} is an object, which only a function of yours can take",
        ),
    ],
)
def test_a_reference_that_names_nothing_is_told_at_its_dollar(text: str, message: str) -> None:
    _, findings = filled(text)

    (finding,) = findings
    told = f"{finding.at.line}:{finding.at.column} {finding.code} {finding.problem}"
    assert told == message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: ${env.X-foo}", "did you mean ${env.X:-foo}?"),
        ("a: ${env.X:+foo}", "behind the name there may be :-default, or :?message"),
    ],
)
def test_what_a_shell_writes_otherwise_is_known(text: str, hint: str) -> None:
    _, findings = filled(text)

    (finding,) = findings
    assert finding.hint == hint


def test_keys_of_the_users_own_are_left_alone_in_a_stage_too() -> None:
    text = 'x-a: "${nope}"\nstages: {a: {x-b: "${nope}", with: {x-c: "${params.width}"}}}\n'

    root, findings = filled(text)

    assert findings == ()
    stage = {"x-b": "${nope}", "with": {"x-c": 256}}
    assert plain(root) == {"x-a": "${nope}", "stages": {"a": stage}}
