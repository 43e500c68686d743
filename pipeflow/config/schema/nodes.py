"""The pieces of the JSON Schema: one setting's value, one closed mapping, one list of choices.

How they are built follows from what ``yaml-language-server`` does with them, release by release:

- A union is one flat node: ``pattern`` speaks to texts, ``minimum`` to numbers, ``items`` to lists,
  ``properties`` to mappings. ``anyOf`` of forms would print messages about the wrong form.
- What goes in behind a completed key is read off the property's own node: ``type: string`` or any
  ``anyOf`` gives ``key: ``, ``properties`` an indented line, neither the bare word.
- One purpose to a member of ``allOf``, so that each can bear its ``errorMessage``; on a mapping's
  own node that would swallow "Property x is not allowed".
- An ``errorMessage`` never reaches ``minItems``, ``minProperties``, ``minimum``.
- Hovers show neither unit nor default, so the descriptions name them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pipeflow.config.units import DURATION_PATTERN, SIZE_PATTERN, duration_text, size_text
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table, expected

Schema: TypeAlias = dict[str, Any]

#: A text that still holds a reference may become a value of any type.
REFERENCE: Final = r"\$\{"

OR_REFERENCE: Final = f"|{REFERENCE}"

#: Where the manual is read on the web; the one place to change when it moves.
MANUAL: Final = "https://pipeflow.example/docs"

#: Forms that are no text.
_JSON_TYPES: Final[Mapping[OptionType, str]] = {
    OptionType.INTEGER: "integer",
    OptionType.NUMBER: "number",
    OptionType.BOOLEAN: "boolean",
    OptionType.LIST: "array",
    OptionType.MAPPING: "object",
    OptionType.EXPRESSIONS: "object",
}

#: Forms that hold others.
_NESTED: Final = {OptionType.LIST, OptionType.MAPPING, OptionType.EXPRESSIONS}
_ONLY_MAPPINGS: Final = ((OptionType.MAPPING,), (OptionType.EXPRESSIONS,))
#: Every value of the mapping is an expression; its keys are the user's.
_EXPRESSIONS: Final[Schema] = {
    "minProperties": 1,
    "additionalProperties": {
        "type": ["string", "number", "boolean"],
        "errorMessage": "must be a Python expression as text",
    },
}

#: Forms for which any text is right; without one of them a text must hold a reference.
_TEXTS: Final = {OptionType.STRING, OptionType.PATH, OptionType.EXPRESSION}
_QUANTITIES: Final = {
    OptionType.DURATION: f"^(?:{DURATION_PATTERN})${OR_REFERENCE}",
    OptionType.SIZE: f"^(?:{SIZE_PATTERN})${OR_REFERENCE}",
}

#: What texts must match that stand for a duration or a size.
QUANTITIES: Final = frozenset(_QUANTITIES.values())


def option_schema(option: Option, page: str = "keys") -> Schema:
    """The schema of one setting's value.

    Args:
        option: The setting.
        page: The page of the manual that tells more of it.
    """
    node: Schema = described(option, page)
    kinds = option.types
    if OptionType.ANY in kinds:
        # So that an editor puts a colon behind the key: this never fails.
        return {**node, "anyOf": [{}]}
    scalars = [kind for kind in kinds if kind not in _NESTED]
    # Text first, if only for a reference (a param may be a list): an editor would write a zero.
    texts = ["string"] if kinds not in _ONLY_MAPPINGS else []
    types = list(dict.fromkeys([*texts, *(_JSON_TYPES.get(kind, "string") for kind in kinds)]))
    message = f"must be {expected(option)}"
    members: list[Schema] = []
    if option.choices:
        node["anyOf"] = offered(option)
        members.append(one_of(option.choices, message))
    elif pattern := _text_pattern(option):
        node["pattern"] = pattern
    if option.minimum is not None:
        node["minimum"] = option.minimum
    if option.maximum is not None:
        node["maximum"] = option.maximum
    if len(scalars) == len(kinds):
        node |= {"type": types, "errorMessage": message}
        return {**node, "allOf": members} if members else node
    if kinds in _ONLY_MAPPINGS:
        node["properties"] = {}
    else:
        node.setdefault("anyOf", [{}])
    # Its title again: a hover takes the first that it finds, and would go on to that of the parent.
    kind = {"title": option.name, "type": types, "errorMessage": message}
    if not scalars and texts:
        kind["pattern"] = REFERENCE
    if OptionType.EXPRESSIONS in kinds:
        kind |= _EXPRESSIONS
    return {**node, "allOf": [kind, *members]}


def offered(option: Option) -> list[Schema]:
    """Choices for completion and hover, as an ``anyOf`` that never fails.

    Exactly one of the two fits: where all do, a hover shows them in place of the key's own words.
    """
    docs = option.choice_docs or option.choices
    return listed(dict(zip(option.choices, docs, strict=True)))


def listed(docs: Mapping[str, str] | Mapping[int, str]) -> list[Schema]:
    """The same for values with what to say of each."""
    values = {
        "enum": list(docs),
        "enumDescriptions": [plain_text(each) for each in docs.values()],
        "markdownEnumDescriptions": list(docs.values()),
    }
    return [values, {"not": {"enum": list(docs)}}]


def one_of(choices: Iterable[str], message: str, *, unless: str = REFERENCE) -> Schema:
    """A text must be one of these, unless it matches ``unless``; editors offer to replace it."""
    free = {"type": "string", "not": {"pattern": unless}}
    return {"if": free, "then": {"enum": list(choices), "errorMessage": message}}


def described(option: Option, page: str = "keys") -> Schema:
    """Title and descriptions: as text, and as Markdown with an example and a link."""
    node: Schema = {"title": option.name}
    if option.later:
        node["doNotSuggest"] = True
    facts = list(_facts(option))
    words = " ".join([option.description, *facts]).strip()
    node["description"] = plain_text(words)
    more = [f"[Manual]({MANUAL}/{page})"]
    if _all_scalars(option) and option.examples:
        node["examples"] = list(option.examples)
    elif option.examples:
        more.insert(0, "Example: " + ", ".join(f"`{_line(option, e)}`" for e in option.examples))
    node["markdownDescription"] = "\n\n".join([words, *more])
    return node


def plain_text(markdown: str) -> str:
    """Markdown of ours without its marks."""
    return markdown.replace("`", "").replace("*i*", "i")


def closed(
    table: Table,
    overrides: Mapping[str, Schema] | None = None,
    *,
    refs: Mapping[str, str] | None = None,
) -> Schema:
    """The mapping that a table describes: no other keys than its own.

    Args:
        table: The table.
        overrides: Key to its schema, in place of the one that its declaration gives.
        refs: Key to the definition that its mapping form must fit, where no table says it.
    """
    made = overrides or {}
    forms = {key: definition_of(inner) for key, inner in table.within.items()} | dict(refs or {})
    page = f"keys#{table.title.replace(' ', '-')}"
    properties = {
        option.name: made.get(option.name) or _property(option, page, forms.get(option.name, ""))
        for option in table.options
    }
    required = [option.name for option in table.options if option.required]
    node: Schema = {
        "title": table.title,
        "additionalProperties": False,
        "properties": properties | {alias: {"doNotSuggest": True} for alias, _ in _renamed(table)},
    }
    if required:
        node["required"] = required
    if table.open:
        yours = "Yours: a place for YAML anchors; pipeflow does not look at it."
        described_twice = {"description": yours, "markdownDescription": yours}
        node["patternProperties"] = {"^x-": {"title": "x-…", **described_twice}}
    refused = [
        *((o.name, f"'{o.name}' comes in a later version") for o in table.options if o.later),
        *((alias, f"'{alias}' is called '{name}' here") for alias, name in _renamed(table)),
    ]
    if refused:
        node["allOf"] = [
            {"properties": {key: False}, "errorMessage": message} for key, message in refused
        ]
    return node


def both(title: str, words: str) -> Schema:
    """Title and descriptions of what is no option: entries of lists, values of the user's keys."""
    return {"title": title, "description": plain_text(words), "markdownDescription": words}


def has(key: str, value: Schema | None = None) -> Schema:
    """A mapping has a key, with a value that fits: a condition.

    By ``patternProperties``: what stands in ``properties`` of a condition older editors offer.
    """
    return {"patternProperties": {f"^{key}$": value or {}}, "required": [key]}


def definition_of(table: Table) -> str:
    """Under what a table stands in ``definitions``."""
    return table.name.replace(" ", "_")


def mapping(words: str, definition: str) -> Sequence[Schema]:
    """Members of an ``allOf``: it is a mapping, and fits a definition."""
    return ({"type": "object", "errorMessage": words}, reference(definition))


def reference(definition: str) -> Schema:
    """What another part of the schema says."""
    return {"$ref": f"#/definitions/{definition}"}


def not_empty(kind: str, message: str) -> Schema:
    """A list or mapping has something in it."""
    bound = "maxItems" if kind == "array" else "maxProperties"
    return {
        "if": {"type": kind, bound: 0},
        "then": {"type": "string", "errorMessage": message},
    }


def _property(option: Option, page: str, definition: str) -> Schema:
    if option.later:
        return described(option, page)
    node = option_schema(option, page)
    if definition:
        node.setdefault("allOf", []).append(reference(definition))
    return node


def _renamed(table: Table) -> list[tuple[str, str]]:
    """Words of other tools, each with the key that it means here."""
    own = {option.name for option in table.options}
    return [
        (alias, option.name)
        for option in table.now()
        for alias in option.aliases
        if alias not in own
    ]


def _text_pattern(option: Option) -> str:
    """What a text must match; empty if any text will do, or none is looked at."""
    if option.pattern:
        return f"^(?:{option.pattern})${OR_REFERENCE}"
    if _TEXTS.intersection(option.types):
        return ""
    for kind, pattern in _QUANTITIES.items():
        if kind in option.types:
            return pattern
    number_like = {OptionType.INTEGER, OptionType.NUMBER, OptionType.BOOLEAN}
    return REFERENCE if number_like.intersection(option.types) else ""


def _facts(option: Option) -> Iterable[str]:
    if option.unit:
        yield f"Unit: {option.unit}."
    if option.required:
        yield "Required."
    elif option.default is not None and option.default != "":
        yield f"Default: `{_default(option)}`."


def _default(option: Option) -> str:
    """What would stand in a file: durations and sizes bear units there."""
    match option.default:
        case bool():
            return _flow(option.default)
        case int() if OptionType.INTEGER in option.types:
            return str(option.default)  # without a unit it is a number of something else
        case int() | float() as seconds if OptionType.DURATION in option.types:
            return duration_text(seconds)
        case int() as number if OptionType.SIZE in option.types:
            return size_text(number)
        case other:
            return _flow(other)


def _all_scalars(option: Option) -> bool:
    """Whether an editor should offer the examples as values: not where forms or choices differ."""
    several = {OptionType.LIST, OptionType.MAPPING, OptionType.ANY}.intersection(option.types)
    return not several and not option.choices


def _line(option: Option, example: object) -> str:
    return f"{option.name}: {_flow(example)}"


def _flow(value: object) -> str:
    """A value as it would stand in a file, on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str() if value and all(one.isalnum() or one in "_-./:" for one in value):
            return value
        case str() if '"' in value and "'" not in value:
            return f"'{value}'"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case int():
            return str(value)
        case _:
            import json  # slow to load, and only few values need it

            return json.dumps(value, ensure_ascii=False)
