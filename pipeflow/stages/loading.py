"""load_work: from a ``call`` or ``use`` and its parameters to the ``Work`` of a worker.

Runs in the worker, after the ``StageContext`` is in place. What the author's code raises while it
is imported or built passes as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pipeflow.stages.author import DECLARATION, STREAM_MARK
from pipeflow.stages.context import current
from pipeflow.stages.convert import convert, hints_of, type_name
from pipeflow.stages.importing import import_target, put_first
from pipeflow.stages.work import Work
from pipeflow.suggest import did_you_mean

if TYPE_CHECKING:
    from pipeflow.stages.declare import Declaration

_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def load_work(
    *,
    call: str,
    operator: str,
    folder: str,
    parameters: Mapping[str, object],
    source: bool,
    input_names: tuple[str, ...],
    imported: Callable[[], None] = lambda: None,
    folders: Sequence[str] = (),
) -> Work:
    """Import a stage's code and bind it to its parameters.

    Args:
        call: ``module:attribute``, or empty for an operator.
        operator: Name of the operator, or empty.
        folder: Of the pipeline file, absolute: first on the path.
        parameters: The stage's ``with``, filled in.
        source: Whether the stage has no inputs.
        input_names: The named inputs, in the order in which payloads will come; else empty.
        imported: Called when the code is imported, before it is bound or built.
        folders: Of all pipeline files of the run: items of classes in them come here too.

    Raises:
        ModuleNotFoundError, AttributeError: There is no such code.
        UnknownOperator: There is no such operator.
        TypeError: Parameters are missing or unknown, or the code is of no form that can run.
        ValueError: A parameter's value is not of the annotated type.
    """
    if operator:
        from pipeflow.stages.registry import load_operator

        target = load_operator(operator)
        # Items of the author's own classes come here too, and unpickling imports their modules.
        # Only now: a csv.py of the author's must not stand in the way of our own imports.
        put_first(folder, folders)
    else:
        target = import_target(call, folder, folders)
    imported()
    return load_target(target, operator or call, parameters, source, input_names)


def load_target(
    target: Any,
    name: str,
    parameters: Mapping[str, object],
    source: bool,
    input_names: tuple[str, ...] = (),
) -> Work:
    """Bind an object that is at hand already; ``name`` is for errors. See ``load_work``."""
    if not callable(target):
        raise TypeError(f"{name} is a {type(target).__name__}, not a function or class")
    if inspect.isclass(target):
        return _class_work(target, name, parameters, source, input_names)
    awaits = _is_async(target)
    if getattr(target, STREAM_MARK, False):
        if awaits:
            raise TypeError(
                f"{name} is a stream function, and those are no `async def`: take @pipeflow.stream"
                " off, and it is called with each item, many at once"
            )
        return _stream_work(target, name, parameters, source, input_names)
    items = 0 if source else 1
    arguments = _arguments(target, name, parameters, items, input_names)
    if source:
        return _source_work(partial(target, **arguments), name)
    return Work(call=_per_item(target, arguments, input_names), awaits=awaits)


def _class_work(
    kind: Any, name: str, parameters: Mapping[str, object], source: bool, inputs: tuple[str, ...]
) -> Work:
    callable_objects = any("__call__" in base.__dict__ for base in kind.__mro__)
    iterable = hasattr(kind, "__iter__") or hasattr(kind, "__aiter__")
    if not callable_objects and not (source and iterable):
        wanted = "__call__ or __iter__" if source else "__call__"
        raise TypeError(f"{name} is a class without {wanted}, so its object cannot run")
    instance = kind(**_arguments(kind, name, parameters, 0, ()))
    if source:
        work = _source_work(instance if callable_objects else lambda: instance, name)
        if _declaration(kind) is not None:
            work.total = getattr(instance, "total", work.total)
    else:
        _check_items(instance.__call__, name, inputs)
        awaits = _is_async(instance.__call__)
        work = Work(call=_per_item(instance.__call__, {}, inputs), awaits=awaits)
        if hasattr(instance, "finish"):
            work.finish = partial(_results, instance.finish, f"{name}: finish()")
    if _declaration(kind) is not None and getattr(instance, "timed", False):
        work.due, work.tick = instance.due, instance.tick
    work.close = getattr(instance, "close", None)
    work.keeps_state = not source and (hasattr(kind, "finish") or hasattr(kind, "snapshot"))
    return work


def _declaration(target: object) -> Declaration | None:
    """The declaration of an operator's code; for others nothing is loaded."""
    if DECLARATION not in getattr(target, "__dict__", {}):
        return None
    from pipeflow.stages.declare import declaration_of

    return declaration_of(target)


def _stream_work(
    function: Any,
    name: str,
    parameters: Mapping[str, object],
    source: bool,
    inputs: tuple[str, ...],
) -> Work:
    if source or inputs:
        got = "named inputs" if inputs else "none"
        raise TypeError(f"{name} is a stream function: it takes one input, and here has {got}")
    arguments = _arguments(function, name, parameters, 1, ())

    def stream(items: Iterator[Any]) -> Iterable[Any]:
        return _iterable(function(items, **arguments), name)

    return Work(stream=stream, keeps_state=True)


def _source_work(start: Callable[[], Any], name: str) -> Work:
    """A source; a list or range that it gives tells how many items there will be."""
    items: Iterable[Any] = ()

    def source() -> Iterable[Any]:
        nonlocal items
        items = _iterable(start(), name)
        return items

    def total() -> int | None:
        return len(items) if isinstance(items, list | tuple | range) else None

    return Work(source=source, total=total)


def _results(function: Callable[[], Any], name: str) -> Iterable[Any]:
    return _iterable(function(), name)


def _iterable(result: Any, name: str) -> Iterable[Any]:
    """What a source, a stream or ``finish`` gave, as something whose truth may be asked for."""
    if result is None:
        return ()
    if isinstance(result, list | tuple | range):
        return result
    if hasattr(result, "__aiter__") or hasattr(result, "__await__"):
        return result  # type: ignore[no-any-return]  # the loop sees to what is `async`
    try:
        items: Iterator[Any] = iter(result)  # of an array, too, which is neither true nor false
    except TypeError:
        kind = type(result).__name__
        raise TypeError(
            f"{name} must give an iterable (a list, a generator) or None, not {kind}"
        ) from None
    return items


def _is_async(target: Any) -> bool:
    run = _function(target)
    return inspect.iscoroutinefunction(run) or inspect.isasyncgenfunction(run)


def _per_item(
    function: Callable[..., Any], arguments: Mapping[str, object], inputs: tuple[str, ...]
) -> Callable[..., Any]:
    """The call for each item; an extra frame only where the order of inputs needs one."""
    bound = partial(function, **arguments) if arguments else function
    if not inputs or _takes_in_order(function, inputs):
        return bound

    def by_name(*payloads: Any) -> Any:
        return bound(**dict(zip(inputs, payloads, strict=True)))

    return by_name


def _takes_in_order(function: Callable[..., Any], inputs: tuple[str, ...]) -> bool:
    signature = _signature(function)
    first = list(signature.parameters.values())[: len(inputs)] if signature else []
    return tuple(p.name for p in first) == inputs and all(
        p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in first
    )


def _arguments(
    target: Any, name: str, given: Mapping[str, object], items: int, inputs: tuple[str, ...]
) -> dict[str, object]:
    """The parameters, checked against the signature and converted."""
    declaration = _declaration(target)
    if declaration is not None:
        context = current()
        return declaration.arguments(given, context.parameters if context else {})
    signature = _signature(target)
    if signature is not None:
        _check_signature(signature, name, given, items, inputs)
    hints = hints_of(target.__init__ if inspect.isclass(target) else _function(target), given)
    converted: dict[str, object] = {}
    for key, value in given.items():
        try:
            converted[key] = convert(value, hints.get(key, Any), key)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return converted


def _function(target: Any) -> Any:
    """The function that is called in the end, for its annotations."""
    while isinstance(target, partial):
        target = target.func
    return target if inspect.isroutine(target) else type(target).__call__


def _signature(target: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(target)
    except (ValueError, TypeError):
        return None  # some built-in functions have none: calling them will tell


def _check_items(call: Callable[..., Any], name: str, inputs: tuple[str, ...]) -> None:
    signature = _signature(call)
    if signature is not None:
        _check_signature(signature, f"{name}: __call__", {}, 1, inputs)


def _check_signature(
    signature: inspect.Signature,
    name: str,
    given: Mapping[str, object],
    items: int,
    inputs: tuple[str, ...],
) -> None:
    """Try the call that will be made.

    Raises:
        TypeError: It would fail; the text has Python's reason and what the function takes.
    """
    known = [p.name for p in signature.parameters.values() if p.kind in _NAMED]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for key in (*given, *inputs):
        if key not in known and not open_ended:
            near = did_you_mean(key, known)
            hint = f"; did you mean {near!r}?" if near else ""
            what = "parameter" if key in given else "argument for the input"
            raise TypeError(f"{name} has no {what} {key!r}{hint}{_taken(signature)}")
    if both := sorted(set(given) & set(inputs)):
        raise TypeError(f"{name}: {both[0]!r} is an input and a parameter under with")
    payloads = () if inputs else (None,) * items
    try:
        signature.bind(*payloads, **given, **dict.fromkeys(inputs))
    except TypeError as error:
        raise TypeError(f"{name}: {error}{_taken(signature)}") from None


def _taken(signature: inspect.Signature) -> str:
    """What a message says at its end of what the function takes."""
    shown = ", ".join(
        p.name
        + (f": {type_name(p.annotation)}" if p.annotation is not p.empty else "")
        + (f" = {p.default!r}" if p.default is not p.empty else "")
        for p in signature.parameters.values()
    )
    return f"; it takes ({shown})"
