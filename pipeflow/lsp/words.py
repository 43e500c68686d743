"""What a hover says of a name, and where its definition stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipeflow.config.nodes import Map, Scalar, Seq, plain
from pipeflow.config.own_words import described_call
from pipeflow.config.problem import Problem
from pipeflow.config.reader import read_file
from pipeflow.config.source import inspect_call
from pipeflow.lsp.outline import Kind, Name, Outline
from pipeflow.spec.stage_type import CallFacts, StageType
from pipeflow.values import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a definition stands: file, and line from 1."""

    file: Path
    line: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file is read against.

    Attributes:
        folder: Of the pipeline file; the user's modules are looked for there first.
        search_path: Where they are looked for next.
        operators: Those there are.
    """

    folder: str
    search_path: Sequence[str]
    operators: dict[str, StageType]


def hover(name: Name, file: Outline, around: Surroundings) -> str:
    """What to show for a name, Markdown; empty if there is nothing to say."""
    match name.kind:
        case Kind.CALL:
            facts = _facts(name.text, around)
            return described_call(name.text, facts) if facts else ""
        case Kind.USE:
            operator = around.operators.get(name.text)
            return operator.manual if operator else ""
        case Kind.STAGE:
            return _stage(name.text, file, around)
        case Kind.PARAM:
            return _param(name.text, file)
        case Kind.SHARED:
            return _shared(name.text, file)
        case Kind.FILE:
            return _file(name.text, around)


def _file(named: str, around: Surroundings) -> str:
    """The file that a stage runs: what it says of itself, its params, what it takes and gives."""
    root = read_file(Path(around.folder, named)).root
    if root is None:
        return ""
    lines = [f"**file `{named}`**"]
    described = root.get("description")
    if isinstance(described, Scalar) and isinstance(described.value, str):
        lines.append(described.value)
    for key in ("inputs", "outputs", "params"):
        block = root.get(key)
        if isinstance(block, Map):
            lines.append(f"{key}: " + ", ".join(f"`{name}`" for name in block))
        elif isinstance(block, Seq):
            lines.append(f"{key}: " + ", ".join(f"`{plain(item)}`" for item in block.items))
    return "\n\n".join(lines)


def defined_at(name: Name, around: Surroundings) -> Place | None:
    """Where the function or class stands that a name calls, or the file that it runs."""
    if name.kind is Kind.FILE:
        path = Path(around.folder, name.text)
        return Place(path.resolve(), 1) if path.is_file() else None
    facts = _facts(name.text, around) if name.kind is Kind.CALL else None
    if facts is None or not facts.line:
        return None
    for root in (around.folder, *around.search_path):
        # The file is named from the first of these that it lies below.
        path = Path(root or os.curdir) / facts.file
        if path.is_file():
            return Place(path.resolve(), facts.line)
    return None


def _facts(call: str, around: Surroundings) -> CallFacts | None:
    found = inspect_call(call, around.folder, around.search_path)
    return None if isinstance(found, Problem) else found.facts


def _stage(name: str, file: Outline, around: Surroundings) -> str:
    stage = file.stage(name)
    if stage is None:
        return ""
    lines = [f"**stage `{name}`**"]
    for key in ("description", "call", "use", "pipeline"):
        value = stage.get(key)
        if not isinstance(value, Scalar) or not isinstance(value.value, str):
            continue
        if key == "description":
            lines.append(value.value)
        elif key == "call" and (facts := _facts(value.value, around)):
            lines.append(described_call(value.value, facts))
        else:
            operator = around.operators.get(value.value)
            lines.append(f"`{key}: {value.value}`" + (f": {operator.summary}" if operator else ""))
    readers = [one.stage for one in file.names if one.kind is Kind.STAGE and one.text == name]
    readers = list(dict.fromkeys(reader for reader in readers if reader != name))
    if readers:
        lines.append("Read by " + ", ".join(f"`{reader}`" for reader in readers) + ".")
    return "\n\n".join(lines)


def _shared(name: str, file: Outline) -> str:
    block = file.root.get("shared") if file.root else None
    node = block.get(name) if isinstance(block, Map) else None
    if not isinstance(node, Map):
        return ""
    facts = ", ".join(f"{key}: `{plain(value)}`" for key, value in node.items())
    stages = dict.fromkeys(
        one.stage for one in file.names if one.kind is Kind.SHARED and one.text == name
    )
    users = ", ".join(f"`{stage}`" for stage in stages if stage)
    used = f"Shared by {users}." if users else "No stage uses it."
    return f"**shared `{name}`**\n\n{facts}\n\n{used}"


def _param(name: str, file: Outline) -> str:
    params = file.root.get("params") if file.root else None
    node = params.get(name) if isinstance(params, Map) else None
    if node is None:
        return ""
    if not isinstance(node, Map):
        return f"**param `{name}`**\n\nDefault: `{plain(node)}`."
    lines = [f"**param `{name}`**"]
    told = {key: plain(value) for key, value in node.items()}
    if told.get("description"):
        lines.append(str(told["description"]))
    facts = [
        f"{key}: `{told[key]}`"
        for key in ("type", "default", "minimum", "maximum", "enum")
        if key in told
    ]
    return "\n\n".join([*lines, ", ".join(facts)])
