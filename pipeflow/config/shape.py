"""Is the tree of the right shape? ``jsonschema`` judges, and what it says is retold in our words.

It is asked when a tree is not plainly right (``accept``): then it has something to say.

Each mistake earns one finding, at the key or the value that is wrong. What a schema cannot say (a
duration's unit, an expression's syntax, a function's parameters) is left to ``build``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from pipeflow.config.accept import accepts
from pipeflow.config.beside import beside_pipeline
from pipeflow.config.nodes import Entry, Map, Node, Scalar, Seq, TreePath, at_path, plain, walk
from pipeflow.config.problem import Problem
from pipeflow.config.readings import other_readings, with_readings
from pipeflow.config.schema import pipeline_schema, without_references
from pipeflow.config.suggest import misspelt, nearest_key
from pipeflow.config.wording import (
    belongs,
    both,
    got,
    listing,
    mended,
    special_case,
    subject,
    table_at,
    table_title,
    wrong_quantity,
)
from pipeflow.errors import Finding, Location
from pipeflow.spec.language import WORKS
from pipeflow.spec.options import Option
from pipeflow.spec.stage_type import StageType
from pipeflow.spec.table import either, expected
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

#: Which of several violations of one value is told: the first of these that it has.
_WEIGHT: Final = ("type", "enum", "const", "pattern", "minimum", "maximum", "minItems")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the schema says of a tree.

    Attributes:
        tree: The tree, with texts from outside turned into the numbers that are due.
        findings: One for each mistake.
        wrong: Paths of values that must not be looked at any more.
    """

    tree: Map
    findings: tuple[Finding, ...]
    wrong: frozenset[TreePath]


def check_shape(tree: Map, stage_types: Mapping[str, StageType]) -> Shape:
    """Judge a whole tree; never raises, whatever the tree holds."""
    errors = _errors(stage_types, tree)
    readings = other_readings(tree, (tuple(error.absolute_path) for error in errors))
    if readings:
        changed = with_readings(tree, readings)
        assert isinstance(changed, Map)
        tree = changed
        errors = _errors(stage_types, tree)
    told = _Retelling(tree, stage_types)
    findings: dict[tuple[Location, str], Finding] = {}
    # What could not be read has had its finding.
    broken = {path for path, node in walk(tree) if isinstance(node, Scalar) and node.broken}
    wrong: set[TreePath] = set(broken)
    for error in sorted(errors, key=_weight):
        path = tuple(error.absolute_path)
        for bad, finding in told.retell(path, error):
            if bad in broken or (bad in wrong and finding.code not in _ABOUT_KEYS):
                continue
            if finding.code not in _ABOUT_KEYS and _reads_badly_named(tree, bad):
                wrong.add(bad)
                continue
            findings.setdefault((finding.at, finding.problem), finding)
            wrong.add(bad)
    return Shape(tree, tuple(findings.values()), frozenset(wrong))


def unknown_key(
    tree: Map, stage_types: Mapping[str, StageType], path: TreePath, entry: Entry
) -> Finding:
    """What to say of a key that the language does not have at this place."""
    table = table_at(path)
    options = table.options if table else ()
    shown = [option.name for option in options if not option.later]
    names = [option.name for option in options]
    return _Retelling(tree, stage_types).unknown_key(path, entry, names, shown)


def _reads_badly_named(tree: Map, path: TreePath) -> bool:
    """Whether a wrong input is right but for the name of its stage, which has its own finding."""
    node, stages = at_path(tree, path), tree.get("stages")
    inside = path[0:1] == ("stages",) and path[2:3] == ("inputs",)
    return inside and isinstance(node, Scalar) and isinstance(stages, Map) and node.text in stages


class _Types:
    """Operators as the key of a cache: the same mapping gives the same validator."""

    def __init__(self, stage_types: Mapping[str, StageType]) -> None:
        self.stage_types = stage_types
        self._key = tuple(sorted(stage_types.items(), key=lambda pair: pair[0]))

    def __hash__(self) -> int:
        return hash(tuple(name for name, _ in self._key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Types) and self._key == other._key


def _errors(stage_types: Mapping[str, StageType], tree: Map) -> list[ValidationError]:
    """What the schema says against a tree."""
    value = plain(tree)
    used = _used(value)
    # A schema of the operators that the file uses is made faster, and accepts the same of it.
    if all(name in stage_types for name in used):
        few = _Types({name: stage_types[name] for name in used})
        if accepts(_schema(few), value):
            return []
    return list(_validator(_Types(stage_types)).iter_errors(value))


def _used(value: object) -> set[str]:
    """Names behind ``use``, whatever else the value of a file holds."""
    stages = value.get("stages") if isinstance(value, dict) else None
    each = stages.values() if isinstance(stages, dict) else ()
    names = [stage.get("use") for stage in each if isinstance(stage, dict)]
    return {name for name in names if isinstance(name, str)}


@lru_cache(maxsize=64)
def _schema(types: _Types) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = without_references(pipeline_schema(types.stage_types))
    return schema


@cache
def _validator(types: _Types) -> Any:
    import referencing
    from jsonschema import Draft7Validator

    # A registry without a way to retrieve: a $ref to the network is an error, never a request.
    return Draft7Validator(_schema(types), registry=referencing.Registry[Any]())


def _weight(error: ValidationError) -> tuple[int, int]:
    name = str(error.validator)
    rank = _WEIGHT.index(name) if name in _WEIGHT else len(_WEIGHT)
    return len(error.absolute_path), rank


class _Retelling:
    """Turns violations into findings; holds the tree, for places and words."""

    def __init__(self, tree: Node, stage_types: Mapping[str, StageType]) -> None:
        self._tree = tree
        self._stage_types = stage_types

    def retell(self, path: TreePath, error: ValidationError) -> Iterator[tuple[TreePath, Finding]]:
        """The findings that one violation earns, each with the path that is wrong by it."""
        node = at_path(self._tree, path)
        if node is None:
            return
        match error.validator:
            case "additionalProperties":
                yield from self._unknown_keys(path, node, error)
            case "required":
                yield from self._missing_keys(path, node, error)
            case None:
                yield from self._forbidden_keys(path, node)
            case _ if "propertyNames" in error.absolute_schema_path:
                yield from self._bad_name(path, node, error)
            case _:
                yield path, self._bad_value(path, node, error)

    def _unknown_keys(
        self, path: TreePath, node: Node, error: ValidationError
    ) -> Iterator[tuple[TreePath, Finding]]:
        assert isinstance(node, Map)
        schema = error.schema
        assert isinstance(schema, dict)
        known = [key for key, each in schema.get("properties", {}).items() if each != _ALIAS]
        shown = self._offered(path, known)
        for entry in node.entries:
            if entry.key in known or (entry.key.startswith("x-") and "patternProperties" in schema):
                continue
            yield (*path, entry.key), self.unknown_key(path, entry, known, shown)

    def unknown_key(
        self, path: TreePath, entry: Entry, known: list[str], shown: list[str]
    ) -> Finding:
        """What to say of one key that is not known."""
        code, problem = self._no_such_key(path, entry.key)
        near = self._nearest(path, entry.key, known)
        offer = f"{listing(path)}: {', '.join(shown)}" if shown else "it takes none"
        elsewhere = "" if near else belongs(entry.key, path)
        return Finding(
            at=entry.key_at,
            code=code,
            problem=problem,
            hint=f"did you mean '{near}'? {offer}" if near else f"{elsewhere}{offer}",
            length=entry.key_length,
        )

    def _nearest(self, path: TreePath, key: str, known: list[str]) -> str | None:
        table = table_at(path)
        return nearest_key(key, table) if table else did_you_mean(key, known)

    def _no_such_key(self, path: TreePath, key: str) -> tuple[str, str]:
        match path:
            case ():
                return "unknown-key", f"unknown key '{key}'"
            case ("stages", stage):
                return "unknown-key", f"stage '{stage}' has no option '{key}'"
            case ("stages", _, "with"):
                return "unknown-parameter", f"operator '{self._operator(path)}' has no '{key}'"
            case _:
                return "unknown-key", f"{table_title(path)} has no key '{key}'"

    def _offered(self, path: TreePath, known: list[str]) -> list[str]:
        """Keys worth naming: those of this version."""
        table = table_at(path)
        later = {option.name for option in table.options if option.later} if table else set()
        return [key for key in known if key not in later and key != "$schema"]

    def _missing_keys(
        self, path: TreePath, node: Node, error: ValidationError
    ) -> Iterator[tuple[TreePath, Finding]]:
        if not isinstance(node, Map):
            return
        required = error.validator_value if isinstance(error.validator_value, list) else []
        # A slip of the key is told already, as a key that is not known.
        absent = (key for key in required if key not in node)
        missing = [key for key in absent if not self._slipped(path, key, node)]
        if path and len(missing) <= _count_unknown(node, error):
            # One slip earns one finding: what is not known was meant to be what is missing.
            return
        for key in missing:
            entry_at, length = self._name_of(path, node)
            problem, hint = self._needs(path, key)
            finding = Finding(
                at=entry_at, code="missing-key", problem=problem, hint=hint, length=length
            )
            yield (*path, key), finding

    def _slipped(self, path: TreePath, key: str, node: Map) -> bool:
        """Whether another key stands there that was meant to be this one."""
        table = table_at(path)
        if table is not None:
            # Of a stage 'call' is asked for; the others would do as well.
            keys = WORKS if key == "call" else (key,)
            return any(misspelt(one, node, table) for one in keys)
        stage_type = self._stage_types.get(self._operator(path))
        known = [option.name for option in stage_type.options] if stage_type else []
        return any(other not in known and did_you_mean(other, known) == key for other in node)

    def _needs(self, path: TreePath, key: str) -> tuple[str, str]:
        match path:
            case ():
                return (
                    f"'{key}:' is missing",
                    "the smallest pipeline is 'stages:' with one stage that has 'call' or 'use'",
                )
            case ("stages", stage) if key == "call":
                return (
                    f"stage '{stage}' needs {either(WORKS)}",
                    "call: module:function, use: operator, or run: [program, argument]",
                )
            case ("stages", stage) if key == "with":
                operator = self._operator(path)
                needed = self._required_parameters(operator)
                return (
                    f"stage '{stage}' needs 'with': operator '{operator}' cannot do without "
                    + both([f"'{name}'" for name in needed]),
                    f"with: {{{', '.join(name + ': …' for name in needed)}}}",
                )
            case ("stages", stage, "with"):
                return (
                    f"stage '{stage}' needs parameter '{key}' of operator '{self._operator(path)}'",
                    self._parameter_hint(path, key),
                )
            case _:
                return f"{table_title(path)} needs '{key}'", f"add '{key}:'"

    def _forbidden_keys(self, path: TreePath, node: Node) -> Iterator[tuple[TreePath, Finding]]:
        table = table_at(path)
        if table is None or not isinstance(node, Map):
            return
        for entry in node.entries:
            option = table.option(entry.key)
            if option is None and nearest_key(entry.key, table) and not entry.key.startswith("x-"):
                # A word of another tool.
                names = [each.name for each in table.options]
                shown = self._offered(path, names)
                yield (*path, entry.key), self.unknown_key(path, entry, names, shown)
            if option is not None and option.later:
                yield (
                    (*path, entry.key),
                    Finding(
                        at=entry.key_at,
                        code="not-yet",
                        problem=f"'{entry.key}' comes in a later version of pipeflow",
                        hint=f"this version knows for {table.title}: "
                        + ", ".join(option.name for option in table.now()),
                        length=entry.key_length,
                    ),
                )
        if path[0:1] == ("stages",) and "pipeline" in node:
            yield from beside_pipeline(path, node)
            return
        works = [work for work in WORKS if work in node] if table.name == "stage" else []
        for second in filter(None, map(node.entry, works[1:])):
            yield (
                (*path, second.key),
                Finding(
                    at=second.key_at,
                    code="call-or-use",
                    problem=f"stage '{path[-1]}' has both '{works[0]}' and '{second.key}'",
                    hint="'call' is your own function, 'use' an operator, 'run' a program: "
                    "keep one of them",
                    length=second.key_length,
                ),
            )

    def _bad_name(
        self, path: TreePath, node: Node, error: ValidationError
    ) -> Iterator[tuple[TreePath, Finding]]:
        entry = node.entry(str(error.instance)) if isinstance(node, Map) else None
        if entry is None:
            return
        what = _NAMES.get(str(path[-1]), "input name")
        shown = entry.key if len(entry.key) <= 40 else entry.key[:37] + "..."
        rule = "a letter, then up to 63 letters, digits, '-' or '_'"
        if what == "input name":
            rule = "it names an argument of the function: letters, digits and '_'"
        if path[0] == "outputs":
            what = "output name"
        if path[0] == "tests":
            what, rule = "name", "it names what is given or expected: stage, or stage.port"
        yield (
            (*path, entry.key),
            Finding(
                at=entry.key_at,
                code="bad-name",
                problem=f"{what} '{shown}' cannot be used",
                hint=rule,
                length=entry.key_length,
            ),
        )

    def _bad_value(self, path: TreePath, node: Node, error: ValidationError) -> Finding:
        problem = self._value_problem(path, node, error)
        return problem.found_at(node.at, node.length)

    def _value_problem(self, path: TreePath, node: Node, error: ValidationError) -> Problem:
        special = special_case(path, node, self._stage_types)
        if special is not None:
            return special
        schema = error.schema if isinstance(error.schema, dict) else {}
        option = self._option_at(path)
        if option is not None and isinstance(node, Scalar) and node.value is not None:
            quantity = wrong_quantity(option, node)
            if quantity is not None:
                return quantity
        due = schema.get("errorMessage") or (f"must be {expected(option)}" if option else "")
        due = due or "is not allowed here"
        name = subject(path)
        if isinstance(node, Scalar) and node.value is None:
            return Problem(
                code="wrong-type",
                problem=f"{name} is empty: it {due}",
                hint="give it a value, or leave the key out",
            )
        if isinstance(node, Map | Seq) and not len(node):
            return Problem(
                code="wrong-type",
                problem=f"{name} is empty",
                hint=_filled(option) or "give it a value, or leave the key out",
            )
        code = _CODES.get(str(error.validator), "bad-value")
        return Problem(
            code=code,
            problem=f"{name} {due}, got {got(node)}",
            hint=mended(node, option),
        )

    def _option_at(self, path: TreePath) -> Option | None:
        """The declaration of the value at a path, if it is one of a table or an operator."""
        if not path or not isinstance(path[-1], str):
            return None
        if len(path) == 4 and path[0] == "stages" and path[2] == "with":
            stage_type = self._stage_types.get(self._operator(path))
            options = stage_type.options if stage_type else ()
            return next((option for option in options if option.name == path[-1]), None)
        table = table_at(path[:-1])
        return table.option(path[-1]) if table else None

    def _operator(self, path: TreePath) -> str:
        node = at_path(self._tree, (*path[:2], "use"))
        return str(node.value) if isinstance(node, Scalar) else ""

    def _required_parameters(self, operator: str) -> list[str]:
        stage_type = self._stage_types.get(operator)
        return (
            [option.name for option in stage_type.options if option.required] if stage_type else []
        )

    def _parameter_hint(self, path: TreePath, key: str) -> str:
        option = self._option_at((*path, key))
        if option is None:
            return f"add '{key}:'"
        return f"{key}: {expected(option)}" + (
            f". {option.description}" if option.description else ""
        )

    def _name_of(self, path: TreePath, node: Map) -> tuple[Location, int]:
        """The place of what is incomplete: its key, where it has one."""
        parent = at_path(self._tree, path[:-1]) if path else None
        if isinstance(parent, Map):
            entry = parent.entry(str(path[-1]))
            if entry is not None:
                return entry.key_at, entry.key_length
        return node.at, node.length


def _count_unknown(node: Map, error: ValidationError) -> int:
    """How many keys there are that the same table does not have."""
    schema = error.schema
    if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
        return 0
    known = schema["properties"]
    # Words of other tools are among them, so that editors can say what they are called here.
    return sum(key not in known or known[key] == _ALIAS for key in node)


def _filled(option: Option | None) -> str:
    """The setting with something in it, where its declaration has an example."""
    lists = [one for one in option.examples if isinstance(one, list)] if option else []
    if not option or not lists:
        return ""
    return f"{option.name}: [{', '.join(map(str, lists[0]))}], or leave the key out"


#: What the keys of a mapping are called where they are the user's own.
_NAMES: Final = {
    "stages": "stage name",
    "params": "parameter name",
    "shared": "name",
    "env": "variable",
}

#: The schema of a key that only other tools have.
_ALIAS: Final = {"doNotSuggest": True}

#: Codes of findings about a key: they say nothing of its value.
_ABOUT_KEYS: Final = frozenset({"unknown-key", "unknown-parameter", "missing-key", "bad-name"})

_CODES: Final = {
    "type": "wrong-type",
    "minimum": "out-of-range",
    "maximum": "out-of-range",
    "minItems": "out-of-range",
}
