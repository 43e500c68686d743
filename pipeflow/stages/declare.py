"""@operator: what an operator of pipeflow says of itself, once.

The check of its parameters, their defaults, the JSON Schema and the manual page are all made from
this declaration; so is the ``StageType`` that the planner knows it by.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeflow.spec.durations import seconds
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role, Shape
from pipeflow.spec.stage_type import BUILT_IN, Judge, Misuse, StageType, nothing_wrong
from pipeflow.stages.author import DECLARATION, STREAM_MARK
from pipeflow.stages.convert import Misfit, convert
from pipeflow.stages.expression import Expression, compile_expression
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass, field, replace

T = TypeVar("T", bound=Callable[..., Any])

#: The text of a file, or what makes its bytes, in the library that will read them.
ExampleFile = str | Callable[[], bytes]

#: What a value of each type becomes; the rest need more than a conversion.
_ANNOTATIONS: Final[Mapping[OptionType, Any]] = {
    OptionType.STRING: str,
    OptionType.PERCENT: str,
    OptionType.INTEGER: int,
    OptionType.NUMBER: float,
    OptionType.BOOLEAN: bool,
    OptionType.PATH: Path,
    OptionType.LIST: list,
    OptionType.MAPPING: dict,
    OptionType.ANY: Any,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What there is to know of an operator.

    Attributes:
        name: What ``use:`` says.
        role: Source, operator or sink.
        shape: How its code meets the items.
        summary: One sentence.
        details: What else a reader needs, Markdown.
        options: Its parameters; the code gets all of them by name.
        example: A whole pipeline file that runs.
        example_files: Name to contents of the files that the example reads, text, or a function
            that makes it; ``-`` stands for standard input.
        keeps_state: One replica only, unless partitioned by key or broadcast.
        one_to_one: Each item gives at most one result, with its id.
        may_drop: It may answer an item with nothing.
        single: It has one replica always.
        uses_stdin: It reads standard input when its ``path`` is ``-``.
        gives: Annotation of its results; empty when they depend on what it gets.
        ports: The output ports that it always has.
        ports_by: A parameter whose keys are names of further output ports, or empty.
        judge: Judges its parameters together.
    """

    name: str
    role: Role
    shape: Shape
    summary: str
    details: str = ""
    options: tuple[Option, ...] = ()
    example: str = ""
    example_files: Mapping[str, ExampleFile] = field(default_factory=dict)
    keeps_state: bool = False
    one_to_one: bool = False
    may_drop: bool = False
    single: bool = False
    uses_stdin: bool = False
    gives: str = ""
    ports: tuple[str, ...] = ("out",)
    ports_by: str = ""
    judge: Judge = nothing_wrong

    def stage_type(self, origin: str = BUILT_IN) -> StageType:
        """The operator as the planner and the manual know it."""
        from pipeflow.stages.manual import render

        bare = StageType(
            name=self.name,
            role=self.role,
            shape=self.shape,
            options=self.options,
            summary=self.summary,
            keeps_state=self.keeps_state,
            one_to_one=self.one_to_one,
            may_drop=self.may_drop,
            single=self.single,
            uses_stdin=self.uses_stdin,
            gives=self.gives,
            ports=self.ports,
            ports_by=self.ports_by,
            judge=self.judge,
            origin=origin,
        )
        return replace(bare, manual=render(bare, self.details, self.example))

    def arguments(
        self, given: Mapping[str, object], params: Mapping[str, object]
    ) -> dict[str, object]:
        """The values that the operator's code gets: checked, converted, defaults filled in.

        Expressions become functions of the item, paths ``Path``, durations seconds.

        Args:
            given: What the stage has under ``with``.
            params: The pipeline's ``params``, for expressions.

        Raises:
            TypeError: A parameter is unknown or missing.
            ValueError: A value does not fit.
            SyntaxError: An expression is none.
        """
        names = [option.name for option in self.options]
        for name in given:
            if name not in names:
                raise TypeError(f"{self.name} has no parameter {name!r}{_hint(name, names)}")
        missing = [o.name for o in self.options if o.required and o.name not in given]
        if missing:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        for misuse in self.judge(given):
            raise ValueError(f"{self.name}: {misuse.problem}; {misuse.hint}".removesuffix("; "))
        return {
            option.name: _argument(option, given[option.name], params)
            if option.name in given
            else option.default
            for option in self.options
        }


def refused(parameter: str, check: Callable[[], object], hint: str) -> list[Misuse]:
    """What is wrong with a parameter, by what the worker would say of it.

    Args:
        parameter: Its name.
        check: Raises ``ValueError`` if there is anything.
        hint: What to write instead.
    """
    try:
        check()
    except ValueError as error:
        return [Misuse(parameter, str(error), hint)]
    return []


def operator(
    *,
    name: str,
    role: Role,
    summary: str,
    details: str = "",
    options: tuple[Option, ...] = (),
    example: str = "",
    example_files: Mapping[str, ExampleFile] | None = None,
    keeps_state: bool = False,
    one_to_one: bool = False,
    may_drop: bool = False,
    single: bool = False,
    uses_stdin: bool = False,
    gives: str = "",
    ports: tuple[str, ...] = ("out",),
    ports_by: str = "",
    judge: Judge = nothing_wrong,
) -> Callable[[T], T]:
    """Declare a class or function to be an operator. It gets all its options by name.

    The forms are those of an author's own code: a class whose object is called with each item (a
    source's with nothing), a function, a generator function, a stream function.
    """

    def declared(target: T) -> T:
        declaration = Declaration(
            name=name,
            role=role,
            shape=_shape(target),
            summary=summary,
            details=details,
            options=options,
            example=example,
            example_files=example_files or {},
            keeps_state=keeps_state,
            one_to_one=one_to_one,
            may_drop=may_drop,
            single=single,
            uses_stdin=uses_stdin,
            gives=gives,
            ports=ports,
            ports_by=ports_by,
            judge=judge,
        )
        setattr(target, DECLARATION, declaration)
        return target

    return declared


def declaration_of(target: object) -> Declaration | None:
    """The declaration of an operator's code; ``None`` when it has none."""
    # Not by getattr: an author's class that inherits from an operator is no operator.
    found = getattr(target, "__dict__", {}).get(DECLARATION)
    return found if isinstance(found, Declaration) else None


def _shape(target: object) -> Shape:
    if getattr(target, STREAM_MARK, False):
        return Shape.STREAM
    if inspect.isclass(target):
        return Shape.CLASS
    return Shape.GENERATOR if inspect.isgeneratorfunction(target) else Shape.FUNCTION


def _hint(name: str, names: list[str]) -> str:
    near = did_you_mean(name, names)
    known = f"it has {', '.join(names)}" if names else "it has none"
    return f"; did you mean {near!r}?" if near else f"; {known}"


def _argument(option: Option, value: object, params: Mapping[str, object]) -> object:
    if value == option.default and type(value) is type(option.default):
        return value
    problems = []
    for kind in option.types:
        try:
            result = _converted(kind, value, option, params)
            _check(option, value)
        except Misfit as error:
            problems.append(str(error))
        else:
            return result
    raise Misfit("; or ".join(problems))


def _converted(
    kind: OptionType, value: object, option: Option, params: Mapping[str, object]
) -> object:
    name = option.name
    match kind:
        case OptionType.EXPRESSION:
            return _expression(value, option, params)
        case OptionType.EXPRESSIONS:
            if not isinstance(value, dict) or not value:
                raise Misfit(f"parameter {name!r} takes a mapping from names to expressions")
            return {key: _expression(each, option, params) for key, each in value.items()}
        case OptionType.DURATION:
            span = seconds(value) if isinstance(value, str) else value
            if span is None:
                raise Misfit(f"parameter {name!r} takes a duration as 50ms or 2s, not {value!r}")
            return convert(span, float, name)
        case OptionType.SIZE:
            return convert(value, int, name)
        case _:
            return convert(value, _ANNOTATIONS[kind], name)


def _expression(value: object, option: Option, params: Mapping[str, object]) -> Expression:
    # YAML reads 1 and true as what they are; as expressions they mean the same.
    text = str(value) if isinstance(value, bool | int | float) else value
    if not isinstance(text, str):
        raise Misfit(f"parameter {option.name!r} takes a Python expression as text")
    return compile_expression(text, params, option.names)


def _check(option: Option, value: object) -> None:
    name = option.name
    if isinstance(value, str):
        if option.choices and value not in option.choices:
            near = _hint(value, list(option.choices)) if option.choices else ""
            choices = ", ".join(option.choices)
            raise Misfit(f"parameter {name!r} is one of {choices}, not {value!r}{near}")
        if option.pattern and not re.fullmatch(option.pattern, value):
            raise Misfit(f"parameter {name!r}: {value!r} does not match {option.pattern}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if option.minimum is not None and value < option.minimum:
            raise Misfit(f"parameter {name!r} is at least {option.minimum:g}, got {value}")
        if option.maximum is not None and value > option.maximum:
            raise Misfit(f"parameter {name!r} is at most {option.maximum:g}, got {value}")
