"""The manual page of an operator, in Markdown, made from its declaration."""

from __future__ import annotations

from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.shapes import Role
from pipeflow.spec.stage_type import BUILT_IN, StageType

_WORDS = {
    OptionType.STRING: "text",
    OptionType.INTEGER: "whole number",
    OptionType.NUMBER: "number",
    OptionType.BOOLEAN: "true or false",
    OptionType.PATH: "path",
    OptionType.DURATION: "duration",
    OptionType.SIZE: "size",
    OptionType.EXPRESSION: "expression over `item`",
    OptionType.EXPRESSIONS: "mapping from names to expressions",
    OptionType.PERCENT: "percentage",
    OptionType.LIST: "list",
    OptionType.MAPPING: "mapping",
    OptionType.ANY: "anything",
}

_SIZES = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}


def manual_page(stage_type: StageType) -> str:
    """The manual page of an operator, Markdown that also reads well as plain text."""
    if stage_type.manual:
        return stage_type.manual
    lines = [
        f"# {stage_type.name}",
        "",
        stage_type.summary,
        "",
        f"It comes from {stage_type.origin}.",
    ]
    return "\n".join([*lines, *_parameters(stage_type.options)]) + "\n"


def render(operator: StageType, details: str, example: str) -> str:
    """The whole page: what it does, ports, parameters, an example that runs."""
    lines = [f"# {operator.name}", "", operator.summary]
    if details:
        lines += ["", details.strip()]
    if operator.origin != BUILT_IN:
        lines += ["", f"It comes from {operator.origin}."]
    lines += ["", "## Ports", "", *_ports(operator)]
    lines += _parameters(operator.options)
    if example:
        lines += ["", "## Example", "", "```yaml", example.strip(), "```"]
    return "\n".join(lines) + "\n"


def _ports(operator: StageType) -> list[str]:
    lines = []
    match operator.role:
        case Role.SOURCE:
            lines.append("A source: it has no inputs; its items leave by `out`.")
            lines.append("A record that it cannot read is handled as its `on_error` says.")
        case Role.OPERATOR:
            lines.append(f"It reads its inputs; {_leave_by(operator)}.")
        case Role.SINK:
            lines.append("A sink: it reads its inputs and passes nothing on.")
    if operator.one_to_one:
        most = "at most one result" if operator.may_drop else "one result"
        lines.append(f"One-to-one: each item gives {most}, with the item's id.")
    if operator.single:
        lines.append("It has one replica.")
    elif operator.keeps_state:
        lines.append("It keeps state: one replica, or more with `partition` by key or `broadcast`.")
    if operator.uses_stdin and any(option.name == "path" for option in operator.options):
        lines.append('With `path: "-"` it reads standard input.')
    return lines


def _leave_by(operator: StageType) -> str:
    """Which way its results go."""
    main, *others = operator.ports
    words = f"results leave by `{main}`" if main == "out" else f"what is left leaves by `{main}`"
    if operator.ports_by:
        words = f"items leave by the ports named in `{operator.ports_by}`; {words}"
    return " and ".join([words, *(f"by `{port}`" for port in others)])


def _parameters(options: tuple[Option, ...]) -> list[str]:
    if not options:
        return []
    lines = ["", "## Parameters", ""]
    for option in options:
        lines.append(f"- `{option.name}` ({_kind(option)}): {option.description}")
        for choice, meaning in zip(option.choices, option.choice_docs, strict=False):
            lines.append(f"    - `{choice}`: {meaning}")
    return lines


def _kind(option: Option) -> str:
    words = [_WORDS[kind] for kind in option.types]
    over = " and ".join(f"`{name}`" for name in option.names)
    parts = [" or ".join(word.replace("`item`", over) for word in words)]
    if option.unit:
        parts.append(f"in {option.unit}")
    if option.choices and not option.choice_docs:
        parts.append("one of " + ", ".join(f"`{choice}`" for choice in option.choices))
    if option.minimum is not None:
        parts.append(f"at least {_number(option, option.minimum)}")
    if option.maximum is not None:
        parts.append(f"at most {_number(option, option.maximum)}")
    if option.required:
        parts.append("required")
    elif option.default is not None and option.default != "":
        parts.append(f"default `{_default(option)}`")
    return ", ".join(parts)


def _default(option: Option) -> str:
    match option.default:
        case bool() as truth:
            return _yaml(truth)
        case int() | float() as number:
            return _number(option, number)
        case value:
            return _yaml(value)


def _number(option: Option, number: float) -> str:
    """A bound or a default as it would stand in a file: durations and sizes bear units."""
    if OptionType.DURATION in option.types and OptionType.INTEGER not in option.types:
        return min(f"{number:g}s", f"{number * 1e3:g}ms", key=len)
    if OptionType.SIZE in option.types:
        names = (name for name, unit in _SIZES.items() if number >= unit and not number % unit)
        name = next(names, "B")
        return f"{number / _SIZES.get(name, 1):.0f}{name}"
    return str(number) if isinstance(number, int) else f"{number:g}"


def _yaml(value: object) -> str:
    """A default as it would stand in a file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (not value.isprintable() or not value[0].isalnum()):
        return '"' + value.encode("unicode_escape").decode() + '"'
    return str(value)
