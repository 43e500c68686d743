"""A stage that runs another file: its params by ``with``, its inputs by ``inputs``.

The file is read by ``load``; here is judged what this stage says of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeflow.config.cursor import Cursor
from pipeflow.config.interpolate import Scope
from pipeflow.config.nodes import FROM_PARAM, Entry, Map, Node, Scalar, walk
from pipeflow.config.params import Params, read_params
from pipeflow.config.stage.edges import Inputs
from pipeflow.errors import Finding, Location
from pipeflow.spec.pipeline import Pipeline
from pipeflow.spec.shared import SharedRef
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a stage asks of another file.

    Attributes:
        stage: Its name.
        node: The value of ``pipeline``.
        given: ``with``, filled in; ``None`` when there is none.
        sure: All of ``with`` could be read.
        at: Where to tell that something is missing: ``with``, else the stage's name.
        length: How many characters to underline there.
    """

    stage: str
    node: Scalar
    given: Map | None
    sure: bool
    at: Location
    length: int


def asked(entry: Entry, cursor: Cursor, node: Scalar) -> Asked:
    """What a stage asks, as it stands under its name."""
    block = cursor.inner("with")
    place = cursor.node.entry("with") or entry
    given = None if block is None else replace(block.node, entries=tuple(block.entries()))
    tried = cursor.node.get("with")
    whole = tried is None or (
        isinstance(tried, Map) and given is not None and len(given) == len(tried)
    )
    return Asked(
        stage=entry.key,
        node=node,
        given=given,
        sure=whole,
        at=place.key_at,
        length=place.key_length,
    )


def params_by_with(block: Node | None, file: str, ask: Asked, scope: Scope) -> Params:
    """The params of the inner file, with the values that the stage gives.

    Args:
        block: ``params`` of the inner file.
        file: Its path, for words.
        ask: What the stage gives.
        scope: Of the inner file.
    """
    entries = ask.given.entries if ask.given is not None else ()
    state = {entry.key: found for entry in entries if (found := _state_in(entry.value))}
    values = {
        entry.key: replace(state[entry.key], broken=True) if entry.key in state else entry.value
        for entry in entries
    }
    known = read_params(block, values, scope)
    told = (_located(finding, file, ask, entries) for finding in known.findings)
    refused = (_of_the_outer(found, file) for found in state.values())
    return replace(known, findings=(*(each for each in told if each is not None), *refused))


def _state_in(value: Node) -> Scalar | None:
    """A reference to shared state in a value."""
    scalars = (node for _, node in walk(value) if isinstance(node, Scalar))
    return next((each for each in scalars if isinstance(each.value, SharedRef)), None)


def _of_the_outer(state: Scalar, file: str) -> Finding:
    return Finding(
        at=state.at,
        code="bad-reference",
        problem=f"{state.value} cannot be handed to another file: a param is a plain value",
        hint=f"only the stages of one file share state: declare it in '{file}', under `shared`",
        length=state.length,
    )


def _located(finding: Finding, file: str, ask: Asked, entries: Sequence[Entry]) -> Finding | None:
    """What is wrong with a value is told where the outer file gives it, or should."""
    if finding.code == "unknown-param" and finding.at.file == FROM_PARAM:
        entry = entries[finding.at.line - 1]
        if _state_in(entry.value):
            return None  # which is told, and a param of that name would not help
        return replace(
            finding,
            at=entry.key_at,
            length=entry.key_length,
            problem=f"'{file}' has no parameter '{entry.key}'",
        )
    if finding.code != "missing-param":
        return finding
    if not ask.sure:
        return None  # it may stand there, in what could not be read
    line = finding.hint.removeprefix("--param ").replace("=", ": ", 1)
    name = line.partition(":")[0]
    if any(did_you_mean(entry.key, [name]) for entry in entries):
        return None  # a slip of it, which has its finding
    return replace(
        finding,
        at=ask.at,
        length=ask.length,
        problem=f"stage '{ask.stage}' needs 'with': parameter '{name}' of '{file}' has no default",
        hint=f"with: {{{line}}}",
    )


def judge_inputs(entry: Entry, cursor: Cursor, inner: Pipeline, inputs: Inputs) -> None:
    """Tell where the inputs of a stage are not those of the file that it runs."""
    if not inputs.whole or not inner.ports_known:
        return
    names = [port.name for port in inner.inputs]
    if inputs.named:
        _judge_named(cursor, inner, names, [edge.input for edge in inputs.edges])
    elif inputs.edges and not names:
        _at_inputs(
            cursor,
            f"'{inner.file}' takes no inputs",
            "take `inputs` out, or name them at the top of that file: inputs: [images]",
        )
    elif inputs.edges and len(names) > 1:
        mapping = ", ".join(f"{name}: …" for name in names)
        _at_inputs(
            cursor,
            f"'{inner.file}' has {len(names)} inputs: {', '.join(names)}",
            f"name them: inputs: {{{mapping}}}",
        )
    elif names and not inputs.edges:
        one = len(names) == 1
        hint = "inputs: stage" if one else "inputs: {" + ", ".join(f"{n}: …" for n in names) + "}"
        cursor.findings.error(
            entry,
            "missing-inputs",
            f"stage '{entry.key}' has no inputs, but '{inner.file}' takes {', '.join(names)}",
            hint,
        )


def _judge_named(
    cursor: Cursor, inner: Pipeline, names: Sequence[str], given: Sequence[str]
) -> None:
    block = cursor.node.get("inputs")
    assert isinstance(block, Map)
    unknown = [entry for entry in block.entries if entry.key not in names]
    for entry in unknown:
        near = did_you_mean(entry.key, names)
        listing = f"its inputs are: {', '.join(names)}" if names else "it takes none"
        cursor.findings.error(
            entry,
            "unknown-input",
            f"'{inner.file}' has no input '{entry.key}'",
            f"did you mean '{near}'? {listing}" if near else listing,
        )
    missing = [name for name in names if name not in given]
    # One slip earns one finding.
    for name in missing[len(unknown) :]:
        _at_inputs(
            cursor,
            f"input '{name}' of '{inner.file}' is missing",
            f"{name}: the stage that feeds it",
            code="missing-inputs",
        )


def _at_inputs(cursor: Cursor, problem: str, hint: str, code: str = "unknown-input") -> None:
    entry = cursor.node.entry("inputs")
    assert entry is not None
    cursor.findings.error(entry, code, problem, hint)


def secrets_of(pipelines: Sequence[Pipeline], own: Sequence[str]) -> tuple[str, ...]:
    """The secrets of a file and of those that its stages run."""
    inner = (secret for pipeline in pipelines for secret in pipeline.secrets)
    return tuple(dict.fromkeys([*own, *inner]))
