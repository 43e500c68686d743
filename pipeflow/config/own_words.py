"""What an editor shows of the user's own functions: signature, docstring, parameters."""

from __future__ import annotations

from pipeflow.config.docstrings import documented
from pipeflow.spec.shapes import Shape
from pipeflow.spec.stage_type import CallFacts, Parameter

_KINDS = {
    Shape.STREAM: "A stream function: it takes the whole stream.",
    Shape.CLASS: "A class: an object for each worker, called with each item.",
    Shape.ASYNC: "`async def`: called with each item, many at once (`concurrency`).",
}


def signature(facts: CallFacts) -> str:
    """``shrink(photo: Photo, width: int = 256) -> Photo``; a class as it is made, then called."""
    made = ", ".join(_declared(one) for one in facts.parameters)
    if facts.open_ended and facts.parameters:
        made = f"{made}, **"
    answer = f" -> {facts.returns}" if facts.returns else ""
    if facts.is_class:
        called = ", ".join(_declared(one) for one in facts.item_parameters)
        return f"class {facts.name}({made})\n__call__({called}){answer}"
    return f"{facts.name or 'lambda'}({made}){answer}"


def described_call(call: str, facts: CallFacts) -> str:
    """A function or class, Markdown."""
    parts = [f"```python\n{signature(facts)}\n```"] if facts.parameters or facts.name else []
    summary = documented(facts.docs).summary
    parts += [part for part in (summary, _KINDS.get(facts.shape, "")) if part]
    parts.append(f"`{call}`" + (f" in {facts.file}:{facts.line}" if facts.line else ""))
    return "\n\n".join(parts)


def summary_of(call: str, facts: CallFacts) -> str:
    """The same in one line of plain text."""
    summary = documented(facts.docs).summary.split("\n\n", maxsplit=1)[0]
    return " ".join(summary.split()) or call


def described_parameter(call: str, facts: CallFacts, one: Parameter) -> tuple[str, str]:
    """What to say of one parameter, as plain text and as Markdown: meaning, type and default."""
    said = documented(facts.docs).parameters.get(one.name, "")
    facts_of_it = [f"Type: `{one.annotation}`."] if one.annotation else []
    facts_of_it.append("Required." if one.required else f"Default: `{one.default}`.")
    told = " ".join(facts_of_it)
    where = f"Parameter of `{call}`" + (f", {facts.file}:{facts.line}" if facts.line else "") + "."
    plain = " ".join(part for part in (said, told.replace("`", "")) if part)
    return plain, "\n\n".join(part for part in (said, told, where) if part)


def _declared(one: Parameter) -> str:
    """As the source has it; what has no annotation stands bare."""
    declared = f"{one.name}: {one.annotation}" if one.annotation else one.name
    if not one.default:
        return declared
    spaced = " = " if one.annotation else "="
    return f"{declared}{spaced}{one.default if len(one.default) <= 40 else '...'}"
