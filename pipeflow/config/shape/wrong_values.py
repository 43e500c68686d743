"""What to say of a value that is not of the right shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pipeflow.config.nodes import Map, Node, Scalar, Seq, TreePath
from pipeflow.config.problem import Problem
from pipeflow.config.shape.declared import Declared
from pipeflow.config.shape.fitting import fitting
from pipeflow.config.shape.wording import got, mended, special_case, subject, wrong_quantity
from pipeflow.errors import Finding
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import expected

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_CODES: Final = {
    "type": "wrong-type",
    "minimum": "out-of-range",
    "maximum": "out-of-range",
    "minItems": "out-of-range",
}


def bad_value(declared: Declared, path: TreePath, node: Node, error: ValidationError) -> Finding:
    """The finding that a violation earns which is about a value."""
    return _problem(declared, path, node, error).found_at(node.at, node.length)


def _problem(declared: Declared, path: TreePath, node: Node, error: ValidationError) -> Problem:
    special = special_case(path, node, declared.stage_types)
    if special is not None:
        return special
    schema = error.schema if isinstance(error.schema, dict) else {}
    option = declared.option_at(path)
    if option is not None and isinstance(node, Scalar) and node.value in option.later_choices:
        return Problem(
            code="not-yet",
            problem=f"'{option.name}: {node.value}' comes in a later version of pipeflow",
            hint="this version knows: "
            + ", ".join(f"{option.name}: {choice}" for choice in option.choices),
        )
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
    return Problem(
        code=_CODES.get(str(error.validator), "bad-value"),
        problem=f"{name} {due}, got {got(node)}",
        hint=mended(node, option) or _fitting(declared, path, node, schema),
    )


def _fitting(declared: Declared, path: TreePath, node: Node, schema: Mapping[str, object]) -> str:
    """A value that would fit, behind its key."""
    option, around = declared.option_at(path), declared.option_at(path[:-1])
    value = node.value if isinstance(node, Scalar) else None
    if option is not None:
        return fitting(option, value)
    if around is not None and OptionType.EXPRESSIONS in around.types:
        return fitting(Option(name=str(path[-1]), types=(OptionType.EXPRESSION,)), value)
    match path[-1], schema:
        case str(key), {"type": str() | list() as kinds} if "array" in kinds and value is not None:
            assert isinstance(node, Scalar)
            return f"{key}: [{node.text}]"
        case int(), {"minimum": int() | float() as least}:
            return f"a number such as {least:g}"
        case _:
            return ""


def _filled(option: Option | None) -> str:
    """The setting with something in it, where its declaration has an example."""
    lists = [one for one in option.examples if isinstance(one, list)] if option else []
    if not option or not lists:
        return ""
    return f"{option.name}: [{', '.join(map(str, lists[0]))}], or leave the key out"
