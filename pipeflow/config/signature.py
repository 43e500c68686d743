"""What a definition in the user's source says of itself: its shape, parameters, state."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipeflow.config.definitions import Function, dotted
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts, Parameter
from pipeflow.values import dataclass

#: Decorators that leave a function's parameters and results as they are.
_TRANSPARENT: Final = frozenset(
    {
        "functools.cache",
        "functools.lru_cache",
        "typing.final",
        "typing.no_type_check",
        "warnings.deprecated",
        "typing_extensions.deprecated",
        "staticmethod",
        "pipeflow.stages.declare.operator",
        "numba.njit",
        "numba.jit",
    }
)
_STREAM: Final = frozenset({"pipeflow.stream", "pipeflow.stages.author.stream"})
_DATACLASS: Final = frozenset({"dataclasses.dataclass"})
#: Bases that bring neither ``__init__`` nor ``__call__``.
_EMPTY_BASES: Final = frozenset(
    {"object", "abc.ABC", "typing.Protocol", "typing.Generic", "collections.abc.Callable"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a definition stands, and what its module imports.

    Attributes:
        file: Path of the source, as people should see it.
        imported: Local name to dotted name of the module's imports.
    """

    file: str
    imported: dict[str, str]


def unknown(place: Place, line: int, docs: tuple[str, ...] = ()) -> CallFacts:
    """A name that exists; what it is shows only when it runs."""
    return CallFacts(file=place.file, line=line, docs=docs)


def function_facts(node: Function, place: Place, *, skip_first: bool = False) -> CallFacts:
    """The facts of a function; ``skip_first`` leaves out its first parameter, ``cls``."""
    docs = docs_of(node)
    streams = False
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = dotted(target, place.imported)
        if name in _STREAM:
            streams = True
        elif name not in _TRANSPARENT:
            shape = Shape.STREAM if streams else Shape.UNKNOWN
            return CallFacts(
                shape=shape,
                is_async=isinstance(node, ast.AsyncFunctionDef),
                name=node.name,
                file=place.file,
                line=node.lineno,
                keeps_state=streams,
                docs=docs,
            )
    yields, answers = results_of(node)
    if streams:
        shape = Shape.STREAM
    elif isinstance(node, ast.AsyncFunctionDef):
        shape = Shape.ASYNC
    else:
        shape = Shape.GENERATOR if yields else Shape.FUNCTION
    return CallFacts(
        shape=shape,
        is_async=isinstance(node, ast.AsyncFunctionDef),
        name=node.name,
        file=place.file,
        line=node.lineno,
        parameters=tuple(parameters_of(node.args))[int(skip_first) :],
        variadic=node.args.vararg is not None,
        open_ended=node.args.kwarg is not None,
        keeps_state=streams,
        # A stream function may also hand on an iterator that it got elsewhere.
        yields=True if yields else (None if streams else False),
        answers=answers,
        returns=_text(node.returns),
        docs=docs,
    )


def lambda_facts(node: ast.Lambda, place: Place) -> CallFacts:
    """The facts of ``name = lambda ...``."""
    return CallFacts(
        shape=Shape.FUNCTION,
        file=place.file,
        line=node.lineno,
        parameters=tuple(parameters_of(node.args)),
        variadic=node.args.vararg is not None,
        open_ended=node.args.kwarg is not None,
        yields=False,
        answers=True,
    )


def class_facts(
    node: ast.ClassDef, place: Place, bases: Sequence[ast.ClassDef] = (), *, whole: bool = False
) -> CallFacts:
    """The facts of a class: ``__init__`` takes ``with``, ``__call__`` the items.

    Args:
        node: The class.
        place: Where it stands.
        bases: Classes that it inherits from, nearest first, as far as they are known.
        whole: There are no others that could bring anything.
    """
    docs = docs_of(node)
    if _decorators(node, place) - _DATACLASS - _TRANSPARENT:
        return unknown(place, node.lineno, docs)
    line = [node, *(bases if whole else ())]
    methods = {name: method for one in reversed(line) for name, method in _methods(one).items()}
    call = methods.get("__call__")
    if call is None:
        # __call__ comes from a base that is not known, or from an assignment.
        return unknown(place, node.lineno, docs)
    parameters, open_ended = _made_with(line, whole=whole)
    finish = methods.get("finish")
    made = [results_of(method) for method in (call, finish) if method is not None]
    known = not call.decorator_list
    return CallFacts(
        shape=Shape.ASYNC if isinstance(call, ast.AsyncFunctionDef) else Shape.CLASS,
        is_class=True,
        is_async=isinstance(call, ast.AsyncFunctionDef),
        name=node.name,
        file=place.file,
        line=node.lineno,
        parameters=parameters,
        item_parameters=tuple(parameters_of(call.args))[1:] if known else (),
        variadic=call.args.vararg is not None or not known,
        open_ended=open_ended,
        keeps_state="finish" in methods or "snapshot" in methods,
        yields=any(yields for yields, _ in made) if known else None,
        answers=_any(answers for _, answers in made) if known else None,
        # What `finish` gives is not told by the annotation of `__call__`.
        returns=_text(call.returns) if known and finish is None else "",
        docs=docs + tuple(docs_of(methods["__init__"]) if "__init__" in methods else ()),
    )


def takes_no_items(line: Sequence[ast.ClassDef], place: Place) -> bool:
    """Whether a class with all that it inherits surely can be neither called nor iterated.

    Args:
        line: The class and its bases; there are no others.
        place: Where it stands.
    """
    plain = (ast.FunctionDef, ast.AsyncFunctionDef, ast.AnnAssign, ast.Expr, ast.Pass)
    for one in line:
        # A metaclass, a decorator, an assignment, an `if` may make methods unseen.
        if one.keywords or _decorators(one, place) - _DATACLASS:
            return False
        if not all(isinstance(statement, plain) for statement in one.body):
            return False
        if {"__call__", "__iter__", "__aiter__"} & _methods(one).keys():
            return False
    return True


def _methods(node: ast.ClassDef) -> dict[str, Function]:
    return {s.name: s for s in node.body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)}


def _decorators(node: ast.ClassDef, place: Place) -> set[str]:
    return {
        dotted(d.func if isinstance(d, ast.Call) else d, place.imported)
        for d in node.decorator_list
    }


def _made_with(line: Sequence[ast.ClassDef], *, whole: bool) -> tuple[tuple[Parameter, ...], bool]:
    """The parameters of ``__init__``, and whether there may be others.

    It comes from the first class that has one, be it written or made by ``@dataclass``.
    """
    for number, one in enumerate(line):
        methods = _methods(one)
        init = methods.get("__init__")
        if init is not None:
            open_ended = init.args.kwarg is not None or bool(init.decorator_list)
            return tuple(parameters_of(init.args))[1:], open_ended
        if "__new__" in methods:
            return (), True
        if _is_dataclass(one):
            fields: dict[str, Parameter] = {}
            for base in reversed(line[number:]):
                if _is_dataclass(base):
                    fields |= {field.name: field for field in dataclass_fields(base)}
            return tuple(fields.values()), not whole
    return (), not whole


def _is_dataclass(node: ast.ClassDef) -> bool:
    """By its name alone: bases may stand in other modules, with other imports."""
    names = (dotted(d.func if isinstance(d, ast.Call) else d, {}) for d in node.decorator_list)
    return any(name.rpartition(".")[2] == "dataclass" for name in names)


def inherits_unknown(node: ast.ClassDef, place: Place) -> bool:
    """Whether bases or a metaclass may bring methods that its own source does not show."""
    for base in node.bases:
        target = base.value if isinstance(base, ast.Subscript) else base
        if dotted(target, place.imported) not in _EMPTY_BASES:
            return True
    return bool(node.keywords)


def _any(known: Iterable[bool | None]) -> bool | None:
    """``any``, of what is not always known."""
    told = {*known}
    return True if True in told else None if None in told else False


def results_of(node: Function) -> tuple[bool, bool | None]:
    """Whether a function yields, and whether it returns or yields a value.

    Of one that returns what some call gives, and is said to return nothing, that is not known.
    """
    yields = answers = False
    for inner in _own_nodes(node):
        match inner:
            case ast.Yield() | ast.YieldFrom():
                yields = answers = True
            case ast.Return(value=ast.Constant(value=None) | None):
                pass
            case ast.Return():
                answers = True
            case _:
                pass
    if answers and not yields and _text(node.returns).strip("'\"") == "None":
        return yields, None
    return yields, answers


def parameters_of(args: ast.arguments) -> Iterator[Parameter]:
    """The parameters of a signature in order, ``*args`` and ``**kwargs`` left out."""
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults += args.defaults
    for index, (arg, default) in enumerate(zip(positional, defaults, strict=True)):
        yield _parameter(arg, default, keyword=index >= len(args.posonlyargs))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(arg, default, positional=False)


def _parameter(
    arg: ast.arg, default: ast.expr | None, *, keyword: bool = True, positional: bool = True
) -> Parameter:
    return Parameter(
        name=arg.arg,
        annotation=_text(arg.annotation),
        required=default is None,
        default=ast.unparse(default) if default is not None else "",
        keyword=keyword,
        positional=positional,
    )


def dataclass_fields(node: ast.ClassDef) -> Iterator[Parameter]:
    """The parameters of a dataclass's ``__init__``."""
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                text = ast.unparse(annotation)
                if "ClassVar" in text or (value is not None and _not_in_init(value)):
                    continue
                shown = ast.unparse(value) if value is not None else ""
                required = value is None or (
                    shown.startswith(("field(", "dataclasses.field(")) and ("default" not in shown)
                )
                yield Parameter(name=name, annotation=text, required=required, default=shown)
            case _:
                pass


def _not_in_init(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and any(
        k.arg == "init" and isinstance(k.value, ast.Constant) and k.value.value is False
        for k in value.keywords
    )


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """All nodes of a function's own body, without those of functions and classes inside."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))


def docs_of(node: Function | ast.ClassDef) -> tuple[str, ...]:
    """Its docstring as it stands there, if it has one: few that ask read it (``docstrings``)."""
    doc = ast.get_docstring(node, clean=False)
    return (doc,) if doc else ()


def _text(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation) if annotation else ""
