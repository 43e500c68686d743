"""What is known of a stage's work without running it: of operators, and of the user's code.

The registry makes a ``StageType`` from an operator's declaration; ``config.source`` reads a
``CallFacts`` out of the user's file, as text. Neither imports user code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from pipeflow.spec.options import Option
from pipeflow.spec.shapes import Role, Shape
from pipeflow.values import dataclass

#: Where our own operators come from.
BUILT_IN: Final = "built in"


@dataclass(frozen=True, slots=True)
class Misuse:
    """What is wrong with the parameters of an operator, though each of them is right alone.

    Attributes:
        parameter: The one to change; empty when one is missing.
        problem: What is wrong.
        hint: What to write instead.
    """

    parameter: str
    problem: str
    hint: str = ""


#: Judges the parameters that a stage gives to an operator. Reads them only: nothing is run.
Judge: TypeAlias = Callable[[Mapping[str, object]], Sequence[Misuse]]


def nothing_wrong(given: Mapping[str, object]) -> Sequence[Misuse]:
    """The judge of operators whose parameters say nothing of each other."""
    del given
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageType:
    """An operator, as data.

    Attributes:
        name: What ``use:`` says.
        role: Source, operator or sink.
        shape: How its code meets the items.
        options: Its parameters under ``with``.
        summary: One sentence.
        manual: The whole manual page, Markdown.
        keeps_state: One replica only, unless partitioned by key or broadcast.
        one_to_one: Each item gives at most one result, with its id (a filter is one-to-one too).
        may_drop: It may answer an item with nothing.
        single: It has one replica always (sources, file sinks).
        uses_stdin: It reads standard input when its ``path`` is ``-``.
        gives: Annotation of its results; empty when they depend on what it gets.
        ports: The output ports that it always has.
        ports_by: A parameter whose keys are names of further output ports, or empty.
        judge: Judges its parameters together.
        origin: ``BUILT_IN``, or the distribution that brings it, with its version.
    """

    name: str
    role: Role
    shape: Shape
    options: tuple[Option, ...] = ()
    summary: str = ""
    manual: str = ""
    keeps_state: bool = False
    one_to_one: bool = False
    may_drop: bool = False
    single: bool = False
    uses_stdin: bool = False
    gives: str = ""
    ports: tuple[str, ...] = ("out",)
    ports_by: str = ""
    judge: Judge = nothing_wrong
    origin: str = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of the user's function, as its source says.

    Attributes:
        name: Its name.
        annotation: Its annotation as text, or empty.
        meaning: The same with enumerations and dataclasses of the user's own spelled out.
        resolved: The same with classes of the user's own as ``Own['module:Class', bases...]``.
        required: Whether a value must be given.
        default: Its default as source text, or empty.
        keyword: Whether it may be given by name.
        positional: Whether it may be given by position: items are.
    """

    name: str
    annotation: str = ""
    meaning: str = ""
    resolved: str = ""
    required: bool = True
    default: str = ""
    keyword: bool = True
    positional: bool = True

    @property
    def kind(self) -> str:
        """What its values are judged by."""
        return self.meaning or self.annotation


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What the source of a ``call:`` target says of itself.

    Attributes:
        shape: ``UNKNOWN`` when reading cannot tell.
        is_class: An object of it does the work, and its ``__call__`` takes the items.
        is_async: The function, or ``__call__``, is ``async def``.
        name: What the definition is called, for messages; empty when it is not known.
        file: The file that defines it, or empty.
        line: Its line there, from 1, or 0.
        parameters: All but ``self``, in order; the items come first. Of a class those of
            ``__init__``, which takes no items.
        item_parameters: Of a class: those of ``__call__``, which takes the items.
        variadic: It (of a class: ``__call__``) takes ``*args``: any number of items.
        open_ended: It takes ``**kwargs``, or its parameters are not known.
        keeps_state: A stream function, or a class with ``finish`` or ``snapshot``.
        yields: It is a generator function: one item may give many. ``None``: not known.
        answers: It has a ``return`` with a value or a ``yield``. ``None``: not known.
        returns: Annotation of what it returns, of a class that of ``__call__``; empty if there is
            none, or if it does not tell all.
        returns_resolved: The same as ``Parameter.resolved``.
        docs: Its docstring, if it has one; of a class that of ``__init__`` behind it.
    """

    shape: Shape = Shape.UNKNOWN
    is_class: bool = False
    is_async: bool = False
    name: str = ""
    file: str = ""
    line: int = 0
    parameters: tuple[Parameter, ...] = ()
    item_parameters: tuple[Parameter, ...] = ()
    variadic: bool = False
    open_ended: bool = True
    keeps_state: bool = False
    yields: bool | None = None
    answers: bool | None = None
    returns: str = ""
    returns_resolved: str = ""
    docs: tuple[str, ...] = ()
