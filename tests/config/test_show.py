"""The resolved file as it is shown: it can be read, by people and by us again."""

from __future__ import annotations

from typing import Any

import yaml

from pipeflow.config.load import resolved_yaml
from tests.config.test_load import run

#: Sizes and durations that ``defaults`` and params give to stages.
FILE = """\
params: {m: {type: size, default: 1 GiB}}
limits: {memory: "${params.m}"}
defaults:
  timeout: 5m
  edge: {capacity: {items: 8, bytes: 64MiB}}
  on_error: {then: skip, retries: 1, backoff: 50ms}
stages:
  find: {use: files, with: {root: .}}
  load: {use: map, with: {expr: item}, inputs: find, resources: {memory: 2GiB}}
"""


def test_sizes_and_durations_have_the_units_that_people_use() -> None:
    text = resolved_yaml(run("-", stdin_text=FILE))

    shown: dict[str, Any] = yaml.safe_load(text)

    assert shown["limits"] == {"memory": "1 GiB"}
    load = shown["stages"]["load"]
    assert load["inputs"] == {"from": "find", "capacity": {"items": 8, "bytes": "64MiB"}}
    assert load["on_error"] == {"then": "skip", "retries": 1, "backoff": "50ms"}
    assert (load["timeout"], load["resources"]) == ("5m", {"memory": "2GiB"})
    assert resolved_yaml(run("-", stdin_text=text)) == text
