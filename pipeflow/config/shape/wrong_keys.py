"""What to say of keys: those that are not known, missing, of a later version, or badly named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from pipeflow.config.nodes import Entry, Map, Node, TreePath, at_path
from pipeflow.config.shape.beside import beside_pipeline
from pipeflow.config.shape.declared import Declared
from pipeflow.config.shape.wording import belongs, listing, table_at, table_title
from pipeflow.config.suggest import misspelt, nearest_key
from pipeflow.errors import Finding, Location
from pipeflow.spec.language import WORKS
from pipeflow.spec.table import both, either, expected
from pipeflow.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

#: Findings, each with the path that is wrong by it.
Told: TypeAlias = Iterator[tuple[TreePath, Finding]]

#: What the keys of a mapping are called where they are the user's own.
_NAMES: Final = {
    "stages": "stage name",
    "params": "parameter name",
    "shared": "name",
    "env": "variable",
}

#: The schema of a key that only other tools have.
_ALIAS: Final = {"doNotSuggest": True}


def unknown_key(declared: Declared, path: TreePath, entry: Entry) -> Finding:
    """What to say of a key that the language does not have at this place."""
    table = table_at(path)
    options = table.options if table else ()
    shown = [option.name for option in options if not option.later]
    return _unknown(declared, path, entry, [option.name for option in options], shown)


def unknown_keys(declared: Declared, path: TreePath, node: Node, error: ValidationError) -> Told:
    """The keys of a mapping that are not known."""
    assert isinstance(node, Map)
    schema = error.schema
    assert isinstance(schema, dict)
    known = [key for key, each in schema.get("properties", {}).items() if each != _ALIAS]
    shown = _offered(path, known)
    for entry in node.entries:
        if entry.key in known or (entry.key.startswith("x-") and "patternProperties" in schema):
            continue
        yield (*path, entry.key), _unknown(declared, path, entry, known, shown)


def missing_keys(declared: Declared, path: TreePath, node: Node, error: ValidationError) -> Told:
    """The keys that a mapping cannot do without."""
    if not isinstance(node, Map):
        return
    required = error.validator_value if isinstance(error.validator_value, list) else []
    # A slip of the key is told already, as a key that is not known.
    absent = (key for key in required if key not in node)
    missing = [key for key in absent if not _slipped(declared, path, key, node)]
    if path and len(missing) <= _count_unknown(node, error):
        # One slip earns one finding: what is not known was meant to be what is missing.
        return
    for key in missing:
        at, length = _name_of(declared, path, node)
        problem, hint = _needs(declared, path, key)
        finding = Finding(at=at, code="missing-key", problem=problem, hint=hint, length=length)
        yield (*path, key), finding


def forbidden_keys(declared: Declared, path: TreePath, node: Node) -> Told:
    """The keys of a mapping that are known, and may not stand there."""
    table = table_at(path)
    if table is None or not isinstance(node, Map):
        return
    for entry in node.entries:
        option = table.option(entry.key)
        if option is None and nearest_key(entry.key, table) and not entry.key.startswith("x-"):
            # A word of another tool.
            names = [each.name for each in table.options]
            shown = _offered(path, names)
            yield (*path, entry.key), _unknown(declared, path, entry, names, shown)
        if option is not None and option.later:
            finding = Finding(
                at=entry.key_at,
                code="not-yet",
                problem=f"'{entry.key}' comes in a later version of pipeflow",
                hint=f"this version knows for {table.title}: "
                + ", ".join(option.name for option in table.now()),
                length=entry.key_length,
            )
            yield (*path, entry.key), finding
    if path[0:1] == ("stages",) and "pipeline" in node:
        yield from beside_pipeline(path, node)
    elif table.name == "stage":
        yield from _second_works(path, node)


def bad_name(path: TreePath, node: Node, error: ValidationError) -> Told:
    """A key that is a name of the user's, and cannot be one."""
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
    finding = Finding(
        at=entry.key_at,
        code="bad-name",
        problem=f"{what} '{shown}' cannot be used",
        hint=rule,
        length=entry.key_length,
    )
    yield (*path, entry.key), finding


def _unknown(
    declared: Declared, path: TreePath, entry: Entry, known: list[str], shown: list[str]
) -> Finding:
    """What to say of one key that is not known.

    Args:
        declared: What is declared of the file.
        path: Of the mapping.
        entry: The key.
        known: What it may have been meant to be.
        shown: Those worth naming.
    """
    code, problem = _no_such_key(declared, path, entry.key)
    table = table_at(path)
    near = nearest_key(entry.key, table) if table else did_you_mean(entry.key, known)
    offer = f"{listing(path)}: {', '.join(shown)}" if shown else "it takes none"
    elsewhere = "" if near else belongs(entry.key, path)
    return Finding(
        at=entry.key_at,
        code=code,
        problem=problem,
        hint=f"did you mean '{near}'? {offer}" if near else f"{elsewhere}{offer}",
        length=entry.key_length,
    )


def _no_such_key(declared: Declared, path: TreePath, key: str) -> tuple[str, str]:
    match path:
        case ():
            return "unknown-key", f"unknown key '{key}'"
        case ("stages", stage):
            return "unknown-key", f"stage '{stage}' has no option '{key}'"
        case ("stages", _, "with"):
            return "unknown-parameter", f"operator '{declared.operator(path)}' has no '{key}'"
        case _:
            return "unknown-key", f"{table_title(path)} has no key '{key}'"


def _offered(path: TreePath, known: list[str]) -> list[str]:
    """Keys worth naming: those of this version."""
    table = table_at(path)
    later = {option.name for option in table.options if option.later} if table else set()
    return [key for key in known if key not in later and key != "$schema"]


def _slipped(declared: Declared, path: TreePath, key: str, node: Map) -> bool:
    """Whether another key stands there that was meant to be this one."""
    table = table_at(path)
    if table is not None:
        # Of a stage 'call' is asked for; the others would do as well.
        keys = WORKS if key == "call" else (key,)
        return any(misspelt(one, node, table) for one in keys)
    known = [option.name for option in declared.parameters(path)]
    return any(other not in known and did_you_mean(other, known) == key for other in node)


def _count_unknown(node: Map, error: ValidationError) -> int:
    """How many keys there are that the same table does not have."""
    schema = error.schema
    if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
        return 0
    known = schema["properties"]
    # Words of other tools are among them, so that editors can say what they are called here.
    return sum(key not in known or known[key] == _ALIAS for key in node)


def _name_of(declared: Declared, path: TreePath, node: Map) -> tuple[Location, int]:
    """The place of what is incomplete: its key, where it has one."""
    parent = at_path(declared.tree, path[:-1]) if path else None
    if isinstance(parent, Map):
        entry = parent.entry(str(path[-1]))
        if entry is not None:
            return entry.key_at, entry.key_length
    return node.at, node.length


def _needs(declared: Declared, path: TreePath, key: str) -> tuple[str, str]:
    """What is wrong, and a hint, where a key is missing."""
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
            needed = [option.name for option in declared.parameters(path) if option.required]
            return (
                f"stage '{stage}' needs 'with': operator '{declared.operator(path)}' cannot do "
                "without " + both([f"'{name}'" for name in needed]),
                f"with: {{{', '.join(name + ': …' for name in needed)}}}",
            )
        case ("stages", stage, "with"):
            return (
                f"stage '{stage}' needs parameter '{key}' of operator '{declared.operator(path)}'",
                _parameter_hint(declared, path, key),
            )
        case _:
            return f"{table_title(path)} needs '{key}'", f"add '{key}:'"


def _parameter_hint(declared: Declared, path: TreePath, key: str) -> str:
    option = declared.option_at((*path, key))
    if option is None:
        return f"add '{key}:'"
    return f"{key}: {expected(option)}" + (f". {option.description}" if option.description else "")


def _second_works(path: TreePath, stage: Map) -> Told:
    """Keys that say once more what a stage does."""
    works = [work for work in WORKS if work in stage]
    for second in filter(None, map(stage.entry, works[1:])):
        finding = Finding(
            at=second.key_at,
            code="call-or-use",
            problem=f"stage '{path[-1]}' has both '{works[0]}' and '{second.key}'",
            hint="'call' is your own function, 'use' an operator, 'run' a program: "
            "keep one of them",
            length=second.key_length,
        )
        yield (*path, second.key), finding
