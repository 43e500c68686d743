"""The ``params`` of a file as options: what an editor offers under ``with`` of a stage."""

from __future__ import annotations

from pipeflow.config.nodes import Map, Node, Scalar, plain
from pipeflow.config.param_types import ParamType
from pipeflow.spec.options import REQUIRED, Option, OptionType


def param_options(block: Node | None) -> tuple[Option, ...]:
    """Every parameter as far as its declaration can be read; mistakes are told elsewhere."""
    if not isinstance(block, Map):
        return ()
    return tuple(_option(name, node) for name, node in block.items())


def _option(name: str, node: Node) -> Option:
    block = node if isinstance(node, Map) else None
    default = block.get("default") if block is not None else node
    told = {key: plain(value) for key, value in block.items()} if block is not None else {}
    minimum, maximum = told.get("minimum"), told.get("maximum")
    choices = told.get("enum")
    texts = [each for each in choices if isinstance(each, str)] if isinstance(choices, list) else []
    kind = _kind(told.get("type"), default)
    return Option(
        name=name,
        types=(kind,),
        default=REQUIRED if default is None else _shown(default, secret=told.get("secret") is True),
        description=str(told.get("description") or f"Parameter `{name}` of the file."),
        choices=tuple(texts) if kind is OptionType.STRING else (),
        minimum=minimum if isinstance(minimum, int | float) else None,
        maximum=maximum if isinstance(maximum, int | float) else None,
    )


def _kind(declared: object, default: Node | None) -> OptionType:
    known = {one.value: one for one in ParamType}
    if isinstance(declared, str) and declared in known:
        return OptionType(declared)
    return OptionType.STRING if default is None else OptionType(ParamType.of(default).value)


def _shown(default: Node, *, secret: bool) -> object:
    """The default for a hover; a secret, and a reference, are left out."""
    reference = isinstance(default, Scalar) and "${" in default.text
    return None if secret or reference else plain(default)
