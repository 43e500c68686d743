"""The ``params`` block and what ``--param`` says, as values of the declared types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from pipeflow.config.interpolate import Scope, fill_node
from pipeflow.config.nodes import FROM_PARAM, Entry, Map, Node, Scalar, Seq, TreePath
from pipeflow.config.param_bounds import Bounds, quoted, read_bounds
from pipeflow.config.param_types import ParamType, typed
from pipeflow.config.problem import Problem
from pipeflow.config.reader import from_mapping
from pipeflow.config.scalars import reread
from pipeflow.config.suggest import misspelt
from pipeflow.errors import Finding, Location
from pipeflow.spec.language import PARAM
from pipeflow.suggest import did_you_mean
from pipeflow.telemetry.masking import MASK
from pipeflow.values import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A parameter with its value.

    Attributes:
        name: Its name.
        kind: Its declared type.
        node: What stands in the place of ``${params.NAME}``; a duration or size keeps its text,
            with ``quantity``.
        value: The value for expressions and reports: seconds and bytes for duration and size.
        secret: It must not be shown.
    """

    name: str
    kind: ParamType
    node: Node
    value: object
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """All parameters of a file.

    Attributes:
        params: Name to parameter, of those that have a value.
        failed: Names of those that are declared and have no good value; that is in ``findings``.
        findings: What is wrong.
        declared: Names of all that are declared, and whether they are secret.
        secret_at: Where secret defaults stand, be they good or not.
        settings: Path of each ``type`` and ``secret`` in the file to what it says, filled in.
    """

    params: Mapping[str, Param] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    declared: Mapping[str, bool] = field(default_factory=dict)
    secret_at: tuple[tuple[Location, int], ...] = ()
    settings: Mapping[TreePath, Node] = field(default_factory=dict)

    @property
    def nodes(self) -> dict[str, Node]:
        """Name to node, for ``Scope.params``."""
        return {name: param.node for name, param in self.params.items()}

    @property
    def values(self) -> dict[str, object]:
        """Name to value, secrets left out, for expressions and reports."""
        return {name: param.value for name, param in self.params.items() if not param.secret}

    def masked(self, file: str, text: str) -> str:
        """The text of a file for people: stars where a secret default stands."""
        lines = text.split("\n")
        for at, length in self.secret_at:
            if at.file == file and at.line <= len(lines):
                line, start = lines[at.line - 1], at.column - 1
                end = min(start + length, len(line))
                lines[at.line - 1] = line[:start] + "*" * (end - start) + line[end:]
        return "\n".join(lines)

    def as_given(self, given: Mapping[str, object]) -> str:
        """What ``--param`` says, a line each; what may be a secret is hidden.

        Of a name that is not declared nothing else is told: it may be a slip in the name of one.
        """
        return "\n".join(
            f"{name}={MASK if self.declared[name] else _on_one_line(value)}"
            if name in self.declared
            else name
            for name, value in given.items()
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be shown."""
        hidden = (param for param in self.params.values() if param.secret)
        texts = (text for param in hidden for text in _texts(param.node))
        return tuple(dict.fromkeys(text for text in texts if text))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """A parameter as the file declares it."""

    entry: Entry
    kind: ParamType
    default: Node | None
    block: Map | None
    bounds: Bounds

    @property
    def secret(self) -> bool:
        """Whether it must not be shown: if that cannot be told, it must not."""
        setting = self.setting("secret")
        if not isinstance(setting, Scalar):
            return setting is not None
        read = reread(setting)
        return setting.broken or isinstance(read, Problem) or read.value is not False

    def setting(self, key: str) -> Node | None:
        return None if self.block is None else self.block.get(key)


def read_params(block: Node | None, given: Mapping[str, object], scope: Scope) -> Params:
    """The parameters of a file.

    Args:
        block: ``params`` of the file, or ``None``.
        given: What ``--param`` says (texts), or ``pipeflow.run(params=...)`` (values), or the
            nodes under ``with`` of a stage that runs the file.
        scope: For references in defaults, to all but other parameters.
    """
    findings: list[Finding] = []
    params: dict[str, Param] = {}
    failed: set[str] = set()
    declared = _declarations(block, replace(scope, params=None), findings)
    for name, one in declared.items():
        param = _value_of(one, given, findings)
        if param is None:
            failed.add(name)
        else:
            params[name] = param
    for number, name in enumerate(given, 1):
        if name not in declared:
            findings.append(_unknown(str(name), declared, Location(FROM_PARAM, number, 1)))
    return Params(
        params=params,
        failed=frozenset(failed),
        findings=tuple(findings),
        declared={name: one.secret for name, one in declared.items()},
        secret_at=tuple(_secret_places(declared.values())),
        settings={
            ("params", name, key): node
            for name, one in declared.items()
            for key in ("type", "secret")
            if (node := one.setting(key)) is not None
        },
    )


def _secret_places(declared: Iterable[_Declared]) -> Iterator[tuple[Location, int]]:
    for one in declared:
        if one.secret and isinstance(one.default, Scalar):
            yield one.default.at, one.default.length


def _on_one_line(value: object) -> str:
    return str(value).replace("\n", " ")


def _declarations(
    block: Node | None, scope: Scope, findings: list[Finding]
) -> dict[str, _Declared]:
    if not isinstance(block, Map):
        return {}
    filled, more = fill_node(block, scope)
    findings.extend(more)
    assert isinstance(filled, Map)
    return {entry.key: _declaration(entry, findings) for entry in filled.entries}


def _declaration(entry: Entry, findings: list[Finding]) -> _Declared:
    block = entry.value if isinstance(entry.value, Map) else None
    default = entry.value if block is None else block.get("default")
    kind = None if block is None else block.get("type")
    known = {one.value: one for one in ParamType}
    if isinstance(kind, Scalar) and kind.text in known:
        declared = known[kind.text]
    else:
        declared = ParamType.STRING if default is None else ParamType.of(default)
    bounds, wrong = read_bounds(entry.key, declared, block)
    findings.extend(wrong)
    return _Declared(entry=entry, kind=declared, default=default, block=block, bounds=bounds)


def _value_of(
    declared: _Declared, given: Mapping[str, object], findings: list[Finding]
) -> Param | None:
    name = declared.entry.key
    secret = declared.secret
    if name in given:
        raw = _given(given[name], Location(FROM_PARAM, list(given).index(name) + 1, len(name) + 2))
    elif declared.default is None:
        if declared.block is None or not misspelt("default", declared.block, PARAM):
            findings.append(_missing(declared))
        return None
    else:
        raw = declared.default
    if isinstance(raw, Scalar) and raw.broken:
        return None  # it has had its finding
    # What a secret parameter of the outer file brings stays secret.
    secret = secret or (isinstance(raw, Scalar) and raw.secret)
    if isinstance(raw, Scalar) and raw.value is None and _may_be_null(declared, name in given):
        # "default: null" means: none, and that is fine.
        return Param(name=name, kind=declared.kind, node=raw, value=None, secret=secret)
    read = typed(declared.kind, raw)
    if isinstance(read, Problem):
        problem = replace(read, problem=f"parameter '{name}': {read.problem}")
        if secret:
            problem = Problem(
                code=read.code,
                problem=f"parameter '{name}' must be {declared.kind.words}",
                hint=f"such as {declared.kind.example}; what is given is a secret, and not shown",
            )
        findings.append(problem.found_at(raw.at, raw.length))
        return None
    node, value = read
    shown = MASK if secret else _as_written(raw, value)
    refused = declared.bounds.refuse(name, value, shown, secret=secret)
    if refused is not None:
        findings.append(refused.found_at(raw.at, raw.length))
        return None
    return Param(
        name=name,
        kind=declared.kind,
        node=_hidden(node) if secret else node,
        value=value,
        secret=secret,
    )


def _may_be_null(declared: _Declared, given: bool) -> bool:
    """A ``with`` may hand on the null of an outer parameter."""
    default = declared.default
    return not given or (isinstance(default, Scalar) and default.value is None)


def _given(value: object, at: Location) -> Node:
    if isinstance(value, Scalar | Map | Seq):
        return value
    if isinstance(value, str):
        return Scalar(at=at, length=max(1, len(value)), value=value, text=value, from_text=True)
    if isinstance(value, PurePath):
        value = str(value)
    root = from_mapping({"value": value}, FROM_PARAM).root
    assert root is not None
    node = root.get("value")
    assert node is not None
    return replace(node, at=at)


def _as_written(raw: Node, value: object) -> str:
    """A value for people: a duration or size as it is spelled."""
    is_text = isinstance(value, str)
    return raw.text if isinstance(raw, Scalar) and raw.text and not is_text else quoted(value)


def _missing(declared: _Declared) -> Finding:
    entry = declared.entry
    problem = f"parameter '{entry.key}' has no default and must be given"
    hint = f"--param {entry.key}={declared.bounds.example or declared.kind.example}"
    code = "missing-param"
    return Finding(at=entry.key_at, code=code, problem=problem, hint=hint, length=entry.key_length)


def _unknown(name: str, declared: Mapping[str, object], at: Location) -> Finding:
    near = did_you_mean(name, declared)
    if near:
        hint = f"did you mean '{near}'?"
    else:
        hint = "params: " + ", ".join(declared) if declared else "the file declares no 'params'"
    problem = f"no parameter '{name}'"
    return Finding(at=at, code="unknown-param", problem=problem, hint=hint, length=len(name) or 1)


def _hidden(node: Node) -> Node:
    return replace(node, secret=True) if isinstance(node, Scalar) else node


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield node.text
        case Map():
            for entry in node.entries:
                yield from _texts(entry.value)
        case _:
            for item in node.items:
                yield from _texts(item)
