"""Overlays and ``--set``."""

from __future__ import annotations

import pytest

from pipeflow.config.nodes import Map, Scalar, at_path, plain
from pipeflow.config.overlay import lay_over, set_value
from pipeflow.config.reader import read_text
from pipeflow.config.shape.wording import got
from pipeflow.errors import Finding


def tree(text: str, file: str = "p.yaml") -> Map:
    root = read_text(text, file).root
    assert root is not None
    return root


def test_maps_are_merged_by_key_and_all_else_is_replaced() -> None:
    base = tree("a: {x: 1, y: [1, 2]}\nb: 1\n")

    laid = lay_over(base, tree("a: {y: [3], z: 4}\n", "over.yaml"))

    assert plain(laid) == {"a": {"x": 1, "y": [3], "z": 4}, "b": 1}
    changed = at_path(laid, ("a", "z"))
    assert changed is not None
    assert changed.at.file == "over.yaml"


def test_a_set_value_is_yaml_and_remembers_its_text() -> None:
    changed = set_value(tree("stages: {a: {inputs: [x, y]}}"), "stages.a.replicas=4")

    assert isinstance(changed, Map)
    node = at_path(changed, ("stages", "a", "replicas"))
    assert isinstance(node, Scalar)
    assert (node.value, node.text, node.from_text, node.at.file) == (4, "4", True, "<--set>")


def test_a_set_value_may_be_a_list_or_lie_in_one() -> None:
    root = tree("stages: {a: {inputs: [x, y]}}")

    changed = set_value(root, "stages.a.inputs.1=z")
    assert isinstance(changed, Map)
    again = set_value(changed, "stages.a.resources.cpus=[0, 1]")

    assert isinstance(again, Map)
    expected = {"inputs": ["x", "z"], "resources": {"cpus": [0, 1]}}
    assert plain(again) == {"stages": {"a": expected}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("foo", "bad-set"),
        ("stages.shirnk.replicas=1", "unknown-stage"),
        ("stages.shrink.use.x=1", "bad-set"),
        ("stages.shrink.env=[1", "unclosed-bracket"),
    ],
)
def test_a_set_that_leads_nowhere_is_a_finding(text: str, code: str) -> None:
    found = set_value(tree("stages: {shrink: {use: print}}"), text)

    assert isinstance(found, Finding)
    assert (found.code, found.at.file) == (code, "<--set>")


@pytest.mark.parametrize(
    ("text", "said"), [("0", "0"), ("1.5", "1.5"), ("true", "true"), ("many", 'the text "many"')]
)
def test_a_set_value_that_does_not_fit_is_told_as_the_file_would_have_it(
    text: str, said: str
) -> None:
    changed = set_value(tree("stages: {a: {use: print}}"), f"stages.a.replicas={text}")

    assert isinstance(changed, Map)
    node = at_path(changed, ("stages", "a", "replicas"))
    assert isinstance(node, Scalar)
    assert got(node) == said
