"""Table: the keys that one mapping of the language may have, and words for what a value must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.spec.options import Option, OptionType
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The keys that a mapping may have.

    Attributes:
        name: What the mapping is, for messages and for the schema: ``"stage"``.
        title: The same with its article: ``"a stage"``.
        options: Its keys.
        open: Whether keys that begin with ``x-`` are the user's own.
        within: Key to the table of the mapping that it holds.
        each: Key to the table of every value of the mapping that it holds (names are the user's).
    """

    name: str
    title: str
    options: tuple[Option, ...]
    open: bool = False
    within: Mapping[str, Table] = field(default_factory=dict)
    each: Mapping[str, Table] = field(default_factory=dict)

    def option(self, key: str) -> Option | None:
        """The declaration of a key, or ``None`` if it has no such key."""
        return next((option for option in self.options if option.name == key), None)

    def declared(self, key: str) -> Option:
        """The declaration of a key that it has."""
        found = self.option(key)
        assert found is not None, f"{self.name} declares no {key}"
        return found

    def now(self) -> tuple[Option, ...]:
        """The keys that this version has."""
        return tuple(option for option in self.options if not option.later)


def expected(option: Option) -> str:
    """What a value must be, in words that follow "must be"; ends in no full stop."""
    words = [_expected_form(option, kind) for kind in option.types]
    texts = [f"'{choice}'" for choice in option.choices]
    if texts and OptionType.STRING in option.types:
        words[option.types.index(OptionType.STRING)] = _or(texts)
    return _or([word for word in words if word])


def _expected_form(option: Option, kind: OptionType) -> str:
    match kind:
        case OptionType.STRING:
            return option.form or "text"
        case OptionType.INTEGER:
            return "a whole number" + _range(option)
        case OptionType.NUMBER:
            return "a number" + _range(option)
        case OptionType.BOOLEAN:
            return "true or false"
        case OptionType.PATH:
            return option.form or "a path"
        case OptionType.DURATION:
            return "a duration such as 500ms or 2s"
        case OptionType.SIZE:
            return "a size such as 64MiB or 4GB"
        case OptionType.PERCENT:
            return "a percentage such as 1%"
        case OptionType.EXPRESSION:
            return "a Python expression as text"
        case OptionType.EXPRESSIONS:
            return "a mapping from names to Python expressions"
        case OptionType.LIST:
            return "a list"
        case OptionType.MAPPING:
            return "a mapping"
        case OptionType.ANY:
            return "any value"


def _range(option: Option) -> str:
    least, greatest = option.minimum, option.maximum
    match least, greatest:
        case None, None:
            return ""
        case _, None:
            return f" of at least {least:g}"
        case None, _:
            return f" of at most {greatest:g}"
        case _:
            if greatest >= 2**16:
                return f" of at least {least:g}"
            return f" from {least:g} to {greatest:g}"


def either(keys: Sequence[str]) -> str:
    """Keys as a choice, in words: ``'call', 'use' or 'run'``."""
    return _or([f"'{key}'" for key in keys])


def both(words: list[str]) -> str:
    """The words as an enumeration: ``a, b and c``."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def _or(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " or " + words[-1]
