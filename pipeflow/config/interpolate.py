"""Filling in ``${params.x}``, ``${env.NAME:-default}``, ``${file.dir}``, ``${run.id}`` and ``$$``.

``${shared.x}`` becomes a ``SharedRef``.

Once, in values only: what a reference brings is never searched for references again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pipeflow.config.lines import Lines
from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath, moved
from pipeflow.config.problem import Problem
from pipeflow.errors import Finding, Location
from pipeflow.spec.shared import SharedRef
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, field, replace

_NAMESPACES: Final = ("params", "env", "file", "run", "shared")
_REFERENCE: Final = re.compile(
    r"(?P<space>[A-Za-z_]+)(?:\.(?P<name>[A-Za-z_][\w.-]*?))?(?::(?P<mark>[-?])(?P<rest>.*))?",
    re.DOTALL,
)
#: ``${NAME-default}`` of a shell, which has a colon here.
_SHELL: Final = re.compile(r"(\w+)(-.*)")
_TOKEN: Final = re.compile(r"\$\$|\$\{")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What references can name.

    Attributes:
        environ: The environment.
        folder: Folder of the file, for ``${file.dir}``.
        run_id: For ``${run.id}``.
        params: Parameter name to the node that stands for its value; ``None`` inside the
            ``params`` block itself, where there are none yet.
        failed: Parameters without a value that have had their finding.
        params_lost: There are parameters, and a mistake hides which.
        shared: Names of the state that stages share; ``None``: a mistake hides which there are.
        sources: File name to text: finds the exact place of a ``${`` in a long value.
    """

    environ: Mapping[str, str]
    folder: str
    run_id: str = ""
    params: Mapping[str, Node] | None = None
    failed: frozenset[str] = frozenset()
    params_lost: bool = False
    shared: Sequence[str] | None = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def fill(
    root: Map, scope: Scope, skip: Callable[[TreePath], bool] = lambda _: False
) -> tuple[Map, tuple[Finding, ...]]:
    """The tree with its references filled in, and what is wrong with them.

    A value that could not be filled in stays, with ``broken``. ``params`` and ``x-`` keys are
    passed over.

    Args:
        root: The tree of a whole file.
        scope: What the references can name.
        skip: Whether the value at a path is taken as it is.
    """
    filler = _Filler(scope, skip)
    entries = tuple(
        entry
        if entry.key == "params" or _is_yours((), entry.key)
        else replace(entry, value=filler.node(entry.value, (entry.key,)))
        for entry in root.entries
    )
    # An alias brings the same value, and the same mistake, to several places.
    return replace(root, entries=entries), tuple(dict.fromkeys(filler.findings))


def _is_yours(path: TreePath, key: str) -> bool:
    """Whether a key is one that the language leaves to the user, at the top or in a stage."""
    return key.startswith("x-") and (not path or (path[0] == "stages" and len(path) == 2))


def fill_node(node: Node, scope: Scope) -> tuple[Node, tuple[Finding, ...]]:
    """Any node with its references filled in, and what is wrong with them."""
    filler = _Filler(scope, lambda _: False)
    return filler.node(node, ()), tuple(dict.fromkeys(filler.findings))


class _Filler:
    """Walks a tree and collects findings."""

    def __init__(self, scope: Scope, skip: Callable[[TreePath], bool]) -> None:
        self.findings: list[Finding] = []
        self._scope = scope
        self._skip = skip
        self._lines: dict[str, Lines] = {}

    def node(self, node: Node, path: TreePath) -> Node:
        match node:
            case Map():
                entries = tuple(
                    entry
                    if _is_yours(path, entry.key)
                    else replace(entry, value=self.node(entry.value, (*path, entry.key)))
                    for entry in node.entries
                )
                return replace(node, entries=entries)
            case Seq():
                items = (self.node(item, (*path, i)) for i, item in enumerate(node.items))
                return replace(node, items=tuple(items))
            case Scalar(value=str() as text) if "$" in text and not node.broken:
                return node if self._skip(path) else self._scalar(node, text, path)
            case _:
                return node

    def _scalar(self, scalar: Scalar, text: str, path: TreePath) -> Node:
        pieces: list[str | Scalar] = []
        position = 0
        while token := _TOKEN.search(text, position):
            pieces.append(text[position : token.start()])
            if token[0] == "$$":
                pieces.append("$")
                position = token.end()
                continue
            end = text.find("}", token.end())
            if end < 0:
                problem = Problem(
                    code="unclosed-reference",
                    problem='"${" is not closed',
                    hint='close it with "}", or write "$${" for the text itself',
                )
                self._found(problem, scalar, token.start(), 2)
                return replace(scalar, broken=True)
            inside = text[token.end() : end]
            whole = token.start() == 0 and end + 1 == len(text)
            value = (
                _nested(inside) if "${" in inside else self._reference(inside, path, whole=whole)
            )
            if isinstance(value, Problem):
                self._found(value, scalar, token.start(), end + 1 - token.start())
                return replace(scalar, broken=True)
            if whole:
                return moved(value, scalar.at, scalar.length)
            if not isinstance(value, Scalar):
                reference = text[token.start() : end + 1]
                problem = Problem(
                    code="bad-reference",
                    problem=f"{reference} is a list, and cannot stand inside text",
                    hint="let the reference be the whole value",
                )
                self._found(problem, scalar, token.start(), end + 1 - token.start())
                return replace(scalar, broken=True)
            pieces.append(value)
            position = end + 1
        pieces.append(text[position:])
        return _joined(scalar, pieces)

    def _reference(self, inside: str, path: TreePath, *, whole: bool) -> Node | Problem:
        nowhere = Location("", 1, 1)
        found = _REFERENCE.fullmatch(inside.strip())
        if found is None:
            return _bad(inside, self._scope)
        space, name, mark = found["space"], found["name"], found["mark"]
        if space == "replica" and name is None and mark is None:
            return _replica(path, nowhere)
        if space not in _NAMESPACES or name is None:
            return _bad(inside, self._scope)
        if mark is not None and space != "env":
            hint = "a parameter gets its default under 'params'" if space == "params" else ""
            problem = f'":{mark}" works for ${{env.NAME}} only'
            return Problem(code="bad-reference", problem=problem, hint=hint)
        match space:
            case "params":
                return _parameter(name, self._scope)
            case "env":
                return _variable(name, mark, found["rest"] or "", self._scope.environ)
            case "file" if name == "dir":
                return Scalar(at=nowhere, value=self._scope.folder, text=self._scope.folder)
            case "run" if name == "id":
                return Scalar(at=nowhere, value=self._scope.run_id, text=self._scope.run_id)
            case "shared":
                return _shared(name, path, self._scope, whole=whole)
            case _:
                known = "${file.dir}" if space == "file" else "${run.id}"
                problem = f'"${{{space}.{name}}}" is not known'
                return Problem(code="bad-reference", problem=problem, hint=f"there is {known}")

    def _found(self, problem: Problem, scalar: Scalar, offset: int, length: int) -> None:
        self.findings.append(problem.found_at(self._place(scalar, offset), length))

    def _place(self, scalar: Scalar, offset: int) -> Location:
        """Where the ``${`` at an offset of a value stands in the file.

        Quotes, escapes and folded lines shift what comes behind them, so it is counted: the
        third in the value is the third in the file behind the value's start.
        """
        at = scalar.at
        text = self._scope.sources.get(at.file)
        if text is None:
            return at
        lines = self._lines.setdefault(at.file, Lines(at.file, text, at.via))
        index = lines.start(at.line) + at.column - 2
        for _ in range(str(scalar.value).count("${", 0, offset) + 1):
            index = text.find("${", index + 1)
            if index < 0:
                return at
        return lines.at(index)


def _joined(scalar: Scalar, pieces: list[str | Scalar]) -> Scalar:
    values = [piece for piece in pieces if isinstance(piece, Scalar)]
    text = "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)
    return replace(
        scalar,
        value=text,
        text=text,
        # Its quotes were needed for the reference: nobody should be told to leave them.
        quoted=scalar.quoted and not values,
        from_text=scalar.from_text or any(value.from_text for value in values),
        secret=scalar.secret or any(value.secret for value in values),
        broken=any(value.broken for value in values),
    )


def _replica(path: TreePath, at: Location) -> Scalar | Problem:
    match path:
        case (_, _, "env", *_) | ("defaults", "env", *_):
            # Known when the worker starts, and filled in there.
            return Scalar(at=at, value="${replica}", text="${replica}")
        case _:
            problem = "${replica} is known under 'env' only"
            hint = """env: {REPLICA: "${replica}"}, and the code reads os.environ["REPLICA"]"""
            return Problem(code="bad-reference", problem=problem, hint=hint)


def _parameter(name: str, scope: Scope) -> Node | Problem:
    if scope.params is None:
        problem = f"${{params.{name}}}: a parameter cannot be made of another"
        return Problem(code="bad-reference", problem=problem, hint="use ${env.NAME}, or a text")
    if name in scope.params:
        return scope.params[name]
    if name in scope.failed or scope.params_lost:
        # It has had its finding; this only keeps the reference from being filled in.
        return Scalar(at=Location("", 1, 1), value=None, text="", broken=True)
    known = sorted({*scope.params, *scope.failed})
    near = did_you_mean(name, known)
    hint = "params: " + ", ".join(known) if known else "declare it under 'params'"
    if near:
        hint = f"did you mean '{near}'?"
    return Problem(code="unknown-param", problem=f"no parameter '{name}'", hint=hint)


def _shared(name: str, path: TreePath, scope: Scope, *, whole: bool) -> Scalar | Problem:
    """A piece of shared state; only a worker has the object, so a name stands for it until then."""
    reference = SharedRef(name)
    match path:
        case ("stages", _, "with", _, *_) if whole:
            pass
        case _:
            return Problem(
                code="bad-reference",
                problem=f"{reference} is an object, which only a function of yours can take",
                hint=f'let it be the whole value of a parameter: with: {{{name}: "{reference}"}}',
            )
    if scope.shared is not None and name not in scope.shared:
        near = did_you_mean(name, scope.shared)
        known = "shared: " + ", ".join(scope.shared)
        hint = known if scope.shared else f"declare it: shared: {{{name}: {{type: dict}}}}"
        return Problem(
            code="unknown-shared",
            problem=f"no shared state '{name}'",
            hint=f"did you mean '{near}'?" if near else hint,
        )
    at, lost = Location("", 1, 1), scope.shared is None
    return Scalar(at=at, value=reference, text=str(reference), broken=lost)


def _variable(
    name: str, mark: str | None, rest: str, environ: Mapping[str, str]
) -> Scalar | Problem:
    value = environ.get(name)
    # As in a shell: with ":" an empty variable counts as unset.
    if value is None or (mark and not value):
        if mark != "-":
            return _unset(name, rest, environ)
        value = rest
    return Scalar(at=Location("", 1, 1), value=value, text=value, from_text=True)


def _unset(name: str, message: str, environ: Mapping[str, str]) -> Problem:
    near = did_you_mean(name, sorted(environ))
    meant = f"did you mean '{near}'? " if near else ""
    problem = f"environment variable '{name}' is not set" + (f": {message}" if message else "")
    hint = f"{meant}default: ${{env.{name}:-value}}"
    if not near and (shell := _SHELL.fullmatch(name)):
        hint = f"did you mean ${{env.{shell[1]}:{shell[2]}}}?"
    return Problem(code="unset-variable", problem=problem, hint=hint)


def _nested(inside: str) -> Problem:
    return Problem(
        code="bad-reference",
        problem=f'"${{{inside}" holds another reference, and values are filled in once',
        hint="a default is plain text; make the choice where the variable is set",
    )


def _bad(inside: str, scope: Scope) -> Problem:
    shown = inside if len(inside) <= 40 else inside[:37] + "..."
    word = re.match(r"[A-Za-z_]\w*", inside.strip())
    space = did_you_mean(word[0], _NAMESPACES) if word else None
    near = did_you_mean(word[0], scope.params or ()) if word and "." not in inside else None
    if near:
        hint = f"did you mean ${{params.{near}}}?"
    elif word and "." in inside and space and space != word[0]:
        hint = f"did you mean ${{{space}{inside.strip()[word.end() :]}}}?"
    elif inside.startswith("{"):
        hint = f"one pair of braces: ${{{inside.strip('{} ')}}}"
    elif re.match(r"env\.\w+:", inside):
        hint = "behind the name there may be :-default, or :?message"
    elif word and word[0] in _NAMESPACES:
        hint = f"a name is due behind it: ${{{word[0]}.NAME}}"
    elif word and "." not in inside.split(":", maxsplit=1)[0]:
        hint = f"write ${{env.{inside.strip()}}} or ${{params.{word[0]}}}"
    else:
        hint = 'there are params, env, file, run, shared; "$${" is the text itself'
    return Problem(code="bad-reference", problem=f'"${{{shown}}}" names nothing', hint=hint)
