"""Option: a setting declared once; checks, defaults, schema and manual pages are made from it.

The same value describes a key of the language (``replicas`` of a stage) and a parameter of a
built-in operator (``pattern`` of ``files``).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pipeflow.values import dataclass


class OptionType(Enum):
    """What kind of value a setting takes."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    PATH = "path"
    DURATION = "duration"
    SIZE = "size"
    PERCENT = "percent"  #: ``1%``
    EXPRESSION = "expression"  #: Python over ``item``; never interpolated
    EXPRESSIONS = "expressions"  #: a mapping from names of the user's to expressions
    LIST = "list"
    MAPPING = "mapping"
    ANY = "any"


#: Values of these kinds are taken as they are: ``${…}`` is not filled in there.
EXPRESSION_TYPES: Final = frozenset({OptionType.EXPRESSION, OptionType.EXPRESSIONS})


class Missing(Enum):
    """Stands for "no default", since ``None`` is one."""

    REQUIRED = "required"


REQUIRED: Final = Missing.REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A declared setting.

    Attributes:
        name: The key as people write it.
        types: What it may be; more than one is a union, told apart by the YAML type.
        default: Its value when left out; ``REQUIRED`` when it may not be.
        description: What it does, one or two sentences, Markdown.
        unit: ``"items"``, ``"bytes"``, ``"seconds"``; empty when it has none.
        choices: The only texts allowed; empty: any.
        choice_docs: What each choice means, in step with ``choices``.
        minimum: Least number allowed.
        maximum: Greatest number allowed.
        pattern: Regular expression that a text must match as a whole.
        form: What a text is that matches it, in words behind "must be".
        examples: Values as they would stand in a file.
        names: What an expression sees, beside ``params`` and the modules.
        later: A word of the language that this version does not have yet.
        later_choices: Texts of the language that this version does not have yet.
        secret: Never shown.
        aliases: What people who come from other tools write instead; only hints know these.
    """

    name: str
    types: tuple[OptionType, ...]
    default: object = REQUIRED
    description: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    choice_docs: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    form: str = ""
    examples: tuple[object, ...] = ()
    names: tuple[str, ...] = ("item",)
    later: bool = False
    later_choices: tuple[str, ...] = ()
    secret: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED
