"""The resolved file as YAML, for ``pipeflow show``: references filled in, defaults merged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from pipeflow.config.decode import BIDI
from pipeflow.config.literal import literal_paths
from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath
from pipeflow.config.scalars import resolve
from pipeflow.config.units import duration_text, size_text
from pipeflow.spec.pipeline import Edge, Pipeline, Stage, Use
from pipeflow.spec.policies import ArrayMode, ErrorPolicy, Overflow, TransportKind
from pipeflow.spec.shared import SharedRef
from pipeflow.telemetry.masking import MASK

#: Stands for what must not be shown.
#: What is used up when the file is resolved; tests set the params that are used up.
_USED_UP: Final = frozenset({"params", "defaults", "tests"})


def show(tree: Map, pipeline: Pipeline) -> str:
    """The file as it is after parameters, environment, overlays and defaults.

    What it gives can be loaded again, and means the same; secrets are hidden.
    """
    works = (stage.work for stage in pipeline.stages)
    operators = {work.operator.name: work.operator for work in works if isinstance(work, Use)}
    shower = _Shower(pipeline.secrets, literal_paths(tree, operators))
    resolved = {
        entry.key: shower.shown(entry.value, (entry.key,))
        for entry in tree.entries
        if entry.key not in _USED_UP and not entry.key.startswith(("x-", "$"))
    }
    stages = resolved.get("stages")
    defaults = tree.get("defaults")
    if isinstance(stages, dict) and isinstance(defaults, Map):
        for stage in pipeline.stages:
            if isinstance(stages.get(stage.name), dict):
                stages[stage.name] |= _merged(stage, stages[stage.name], defaults, shower)
    head = {"version": pipeline.version, "name": pipeline.name}
    text: str = yaml.dump(
        {**head, **resolved}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    # What turns the direction of writing is in double quotes by now, and PyYAML leaves it as it is.
    return re.sub(BIDI, lambda found: f"\\u{ord(found.group()):04X}", text)


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.2, without anchors: a text that would read as anything else is quoted."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _quoted_where_needed(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = isinstance(resolve(text), str) and not re.search(BIDI, text)
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted_where_needed)


class _Shower:
    """Turns nodes into what is dumped: secrets hidden, texts such that they mean the same again."""

    def __init__(self, secrets: tuple[str, ...], literal: Callable[[TreePath], bool]) -> None:
        self._secrets = secrets
        self._literal = literal

    def shown(self, node: Node, path: TreePath) -> Any:
        match node:
            case Map():
                return {
                    entry.key: self.shown(entry.value, (*path, entry.key))
                    for entry in node.entries
                    if not entry.key.startswith("x-")
                }
            case Seq():
                return [self.shown(item, (*path, index)) for index, item in enumerate(node.items)]
            case Scalar(secret=True):
                return MASK
            case Scalar(value=str() as text):
                return self._text(text, path)
            case Scalar(value=SharedRef() as reference):
                return str(reference)
            case Scalar():
                return node.value

    def _text(self, text: str, path: TreePath) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        if self._literal(path):
            return text
        # What is no reference any more must not become one when the result is loaded.
        kept = r"replica\}" if "env" in path else "(?!)"
        return re.sub(rf"\$\{{(?!{kept})", "$${", text)


def _merged(stage: Stage, own: Mapping[str, Any], defaults: Map, shower: _Shower) -> dict[str, Any]:
    """What ``defaults`` gave to a stage."""
    given: dict[str, Any] = {}
    if "replicas" in defaults and "replicas" not in own and stage.replicas_at != stage.at:
        given["replicas"] = "auto" if stage.replicas is None else stage.replicas
    if "on_error" in defaults and "on_error" not in own and stage.on_error_at != stage.at:
        given["on_error"] = _policy(stage.on_error)
    if "timeout" in defaults and "timeout" not in own and stage.timeout_s is not None:
        given["timeout"] = duration_text(stage.timeout_s)
    for key in ("resources", "env"):
        base = defaults.get(key)
        if isinstance(base, Map):
            given[key] = {**shower.shown(base, ("defaults", key)), **own.get(key, {})}
    if "edge" in defaults and stage.edges:
        given["inputs"] = _inputs(stage)
    return given


def _policy(policy: ErrorPolicy) -> Any:
    if policy.is_short:
        return policy.then.value
    shown: dict[str, Any] = {"then": policy.then.value}
    if policy.retries:
        shown |= {"retries": policy.retries, "backoff": duration_text(policy.backoff_s)}
    if policy.budget is not None:
        text = str(policy.budget)
        shown["budget"] = text if policy.budget.percent else int(text)
    return shown


def _inputs(stage: Stage) -> Any:
    if stage.named_inputs:
        return {edge.input: _edge(edge) for edge in stage.edges}
    edges = [_edge(edge) for edge in stage.edges]
    return edges[0] if len(edges) == 1 else edges


def _edge(edge: Edge) -> dict[str, Any]:
    shown: dict[str, Any] = {"from": str(edge.source)}
    if edge.transport is not TransportKind.AUTO:
        shown["transport"] = edge.transport.value
    items, size = edge.capacity.items, edge.capacity.bytes
    if size is not None:
        sizes = {"bytes": size_text(size)}
        shown["capacity"] = sizes if items is None else {"items": items, **sizes}
    elif items is not None:
        shown["capacity"] = items
    if edge.overflow is not Overflow.BLOCK:
        shown["overflow"] = edge.overflow.value
    if edge.arrays is not ArrayMode.SHARED:
        shown["arrays"] = edge.arrays.value
    return shown
