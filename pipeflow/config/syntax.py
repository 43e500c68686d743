"""The parser's syntax errors, retold in our words at the place where people look for them.

PyYAML tells where it gave up; that is often lines behind the slip. Each function here knows one
slip, and what it returns also says which value to blank so that reading can go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pipeflow.config.events import Events
from pipeflow.config.indent import indent_slip, key_slip
from pipeflow.config.lines import Lines
from pipeflow.config.pyyaml import Mark, MarkedYAMLError
from pipeflow.config.slip import Slip, rest_of_value, shortened
from pipeflow.errors import Finding
from pipeflow.values import dataclass

_OPENED_BY: Final = {"]": "[", "}": "{"}
_CLOSES: Final = {opener: closer for closer, opener in _OPENED_BY.items()}
#: What people meant by ``call: imaging: decode``.
_CALL: Final = re.compile(r"([\w.]+) *: *(\w*) *")
#: Ends of a value that stands behind its key or behind ``- `` on one line.
_UNFIT_FIRST: Final = "@`%*&!|>?,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where the parser gave up, and why.

    Attributes:
        lines: The text.
        problem: In the parser's words.
        index: Of the character at which it gave up.
        context: What it was doing, in its words.
        start: Index at which that began.
        quotes: Where each quoted scalar so far begins and ends.
    """

    lines: Lines
    problem: str
    index: int
    context: str
    start: int
    quotes: tuple[tuple[int, int], ...]

    @property
    def line(self) -> int:
        return self.lines.number(self.index)

    @property
    def character(self) -> str:
        # NUL, which no text holds, at the end: the empty text would be part of every other.
        return self.lines.text[self.index : self.index + 1] or "\0"

    def slip(
        self,
        index: int,
        code: str,
        problem: str,
        hint: str = "",
        *,
        length: int = 1,
        value: bool = False,
    ) -> Slip:
        """A slip at an index; ``value``: the value that it lies in can be blanked."""
        at = self.lines.at(index)
        finding = Finding(at=at, code=code, problem=problem, hint=hint, length=max(1, length))
        return Slip(finding=finding, value=rest_of_value(self.lines, index) if value else None)


def retell(
    error: MarkedYAMLError | ValueError | OverflowError, lines: Lines, events: Events
) -> Slip:
    """What a syntax error means for the one who wrote the file."""
    failure = _failure(error, lines, events)
    for known in _KNOWN:
        if (slip := known(failure)) is not None:
            return slip
    problem = f"this is not YAML: {failure.problem}"
    return failure.slip(failure.index, "syntax", problem, "the slip may lie on a line before")


def _failure(
    error: MarkedYAMLError | ValueError | OverflowError, lines: Lines, events: Events
) -> Failure:
    here = events.get_mark()
    if isinstance(error, MarkedYAMLError):
        mark: Mark = error.problem_mark or error.context_mark or here
        start: Mark = error.context_mark or mark
        problem, context = error.problem or "", error.context or ""
    else:
        mark = start = here
        problem, context = "found unknown escape character", "while scanning"
    return Failure(
        lines=lines,
        problem=problem,
        index=min(mark.index, len(lines.text)),
        context=context,
        start=min(start.index, len(lines.text)),
        # The parser looks ahead: quotes behind the place are of no interest.
        quotes=tuple(span for span in events.quotes if span[1] <= mark.index),
    )


def _tab(failure: Failure) -> Slip | None:
    line = failure.lines.line(failure.line)
    blank = line[: len(line) - len(line.lstrip(" \t"))]
    begin = failure.lines.start(failure.line)
    if "\t" in blank:
        problem = "tab used for indentation; YAML allows only spaces"
        return failure.slip(begin + blank.index("\t"), "tab", problem, "replace it by 2 spaces")
    if failure.character == "\t":
        problem = "a tab stands before the value; YAML allows only spaces here"
        return failure.slip(failure.index, "tab", problem, "replace it by a space")
    return None


def _template(failure: Failure) -> Slip | None:
    begin = failure.lines.start(failure.line)
    found = re.search(r"(?:^|[\s\[{,])(\{\{)", failure.lines.text[begin : failure.index + 2])
    if found is None:
        return None
    problem, hint = '"{{ }}" is not substituted here', 'use "${params.NAME}", quoted'
    return failure.slip(begin + found.start(1), "braces", problem, hint, length=2, value=True)


def _unclosed_quote(failure: Failure) -> Slip | None:
    start: int | None = None
    if failure.problem in {"found unexpected end of stream", "found unexpected document separator"}:
        start = failure.start
    elif failure.quotes:
        # The quote swallowed lines up to the next quote, and what came then made no sense.
        first, last = failure.quotes[-1]
        inside = failure.lines.text[first:last]
        near = failure.lines.number(last) == failure.line
        if near and re.search(r"[\r\n][ \t]*(- +)*[\w.-]+:[\s\"']", inside):
            start = first
    if start is None:
        return None
    quote = failure.lines.text[start : start + 1]
    problem, hint = "quote opened here is never closed", f"close it with {quote}"
    return failure.slip(start, "unclosed-quote", problem, hint)


def _behind_quote(failure: Failure) -> Slip | None:
    if not failure.quotes or not failure.problem.startswith(("expected", "mapping values")):
        return None
    first, last = failure.quotes[-1]
    text = failure.lines.text
    if text[last : failure.index].strip(" ") or failure.index < last:
        return None
    if failure.character in ",]}:\r\n" or failure.lines.number(first) != failure.line:
        return None
    whole = text[first : failure.lines.start(failure.line) + len(failure.lines.line(failure.line))]
    quote = whole[0]
    inside = whole.replace(quote, "")
    hint = f'put all of it in quotes: "{shortened(inside)}"'
    if quote == "'" and last == failure.index:
        hint = "a ' inside '...' is written twice: ''"
    problem = "the value goes on behind its closing quote"
    return failure.slip(failure.index, "behind-quote", problem, hint, value=True)


def _escape(failure: Failure) -> Slip | None:
    if "escape" not in failure.problem or "tag" in failure.context:
        return None
    text, index = failure.lines.text, failure.index
    index = text.rfind("\\", 0, index + 1) if "\\" in text[: index + 1] else index
    problem = f'"{text[index : index + 2].strip()}" in double quotes is no escape that YAML knows'
    hint = "in single quotes a backslash is itself; in paths write /"
    return failure.slip(index, "bad-escape", problem, hint, length=2, value=True)


def _reference_in_braces(failure: Failure) -> Slip | None:
    text, index = failure.lines.text, failure.index
    if not (
        failure.context.startswith("while parsing a flow") and text[index - 1 : index + 1] == "${"
    ):
        return None
    end = text.find("}", index)
    reference = text[index - 1 : end + 1] if end > 0 else "${...}"
    if "\n" in reference:
        reference = "${...}"
    problem = f"{reference} inside {{ }} or [ ] needs quotes"
    hint = f'write "{reference}"'
    length = len(reference)
    return failure.slip(index - 1, "unquoted-reference", problem, hint, length=length, value=True)


def _expression_in_braces(failure: Failure) -> Slip | None:
    text, index = failure.lines.text, failure.index
    flow = failure.context.startswith("while parsing a flow")
    if not (flow and failure.character in "[{" and text[index - 1 : index].strip(" \t\r\n,:[{")):
        return None
    begin = max(text.rfind(mark, 0, index) for mark in ("{", "[", ",", ": ", "\n"))
    begin = begin + 1 + len(text[begin + 1 : index]) - len(text[begin + 1 : index].lstrip())
    end = _end_of_expression(text, index)
    whole = text[begin:end]
    quote = "'" if '"' in whole else '"'
    problem = f'"{failure.character}" inside a value in {{ }} or [ ] needs quotes around the value'
    hint = f"write {quote}{shortened(whole)}{quote}"
    length = len(whole)
    return failure.slip(begin, "unquoted-expression", problem, hint, length=length, value=True)


def _end_of_expression(text: str, index: int) -> int:
    """Where a value that was cut at a bracket ends: at a comma or closer that is not its own."""
    level = 0
    for position in range(index, len(text)):
        character = text[position]
        if character in "\r\n" or (level == 0 and character in ",]}" and position > index):
            return position
        level += (character in "[{(") - (character in ")]}")
    return len(text)


def _unfit_first_character(failure: Failure) -> Slip | None:
    word = failure.context.removeprefix("while scanning a")
    about = ("while scanning an alias", "while scanning an anchor", "while scanning a block scalar")
    if failure.problem.endswith("that cannot start any token"):
        index = failure.index
    elif failure.context in about or (word.startswith(" directive")):
        index = failure.start
    elif failure.context == "while parsing a block node" and failure.character in ",?":
        index = failure.index
    else:
        return None
    first = failure.lines.text[index : index + 1]
    if first not in _UNFIT_FIRST:
        return None
    begin, end = rest_of_value(failure.lines, index) or (index, index + 1)
    if begin < index:
        # Inside brackets: the value begins here, and ends at the next comma or closer.
        begin, end = index, _end_of_expression(failure.lines.text, index)
    value = failure.lines.text[begin:end].rstrip()
    hint = f'quote it: "{shortened(value)}"' if '"' not in value else "quote it"
    if first in "|>":
        hint += "; of a block of text the first line comes after the mark"
    problem = f'a value may not begin with "{first}"'
    return failure.slip(index, "bad-first-character", problem, hint, value=True)


def _tag(failure: Failure) -> Slip | None:
    if "tag" not in failure.context and "tag handle" not in failure.problem:
        return None
    index = failure.index
    if failure.context.startswith(("while scanning a tag", "while parsing a tag")):
        index = failure.start
    found = re.compile(r"!\S*").match(failure.lines.text, index)
    shown = found[0] if found else "!"
    problem = f'tags ("{shown}") are not allowed; pipeline files hold data only'
    return failure.slip(index, "tag", problem, length=len(shown), value=True)


def _colon_in_text(failure: Failure) -> Slip | None:
    if failure.problem != "mapping values are not allowed here":
        return None
    line = failure.lines.line(failure.line)
    column = failure.index - failure.lines.start(failure.line)
    if (slip := key_slip(failure.lines, failure.line, column)) is not None:
        return slip
    before = re.match(r"( *(?:- +)*[^\s:]+): +", line[:column])
    hint = "quote the whole value"
    if before and before[1].strip() == "call" and (call := _CALL.fullmatch(line[before.end() :])):
        hint = f"call: {call[1]}:{call[2] or 'function'}"
    elif before and '"' not in line:
        hint = f'quote it: {before[1].strip()}: "{shortened(line[before.end() :].rstrip())}"'
    problem = '": " inside plain text starts a new key'
    return failure.slip(failure.index, "colon-in-text", problem, hint, value=True)


def _no_colon(failure: Failure) -> Slip | None:
    if failure.problem != "could not find expected ':'":
        return None
    lines = failure.lines
    line = lines.number(failure.start)
    text = lines.line(line)[lines.at(failure.start).column - 1 :].rstrip()
    if found := _NO_SPACE.fullmatch(text):
        at = failure.start + len(found[1])
        return failure.slip(
            at, "missing-space", 'missing space after ":"', f"{found[1]}: {shortened(found[2])}"
        )
    problem = f'no ":" behind "{shortened(text)}"'
    return failure.slip(failure.start, "missing-colon", problem, "key: value", length=len(text))


def _list_on_key_line(failure: Failure) -> Slip | None:
    if failure.problem == "sequence entries are not allowed here":
        problem = 'a list with "-" begins on the line below its key'
        hint = "or write [first, second]"
    elif failure.problem == "mapping keys are not allowed here":
        problem, hint = 'a value may not begin with "?"', "quote it"
    else:
        return None
    return failure.slip(failure.index, "bad-first-character", problem, hint, value=True)


def _bracket(failure: Failure) -> Slip | None:
    lines = failure.lines
    if failure.context not in {
        "while parsing a flow sequence",
        "while parsing a flow mapping",
        "while parsing a flow node",
    }:
        return None
    if failure.context == "while parsing a flow node" and failure.character in ",]}":
        problem = f'a value is missing before "{failure.character}"'
        hint = "write a value there, or take the comma out"
        return failure.slip(failure.index, "missing-value", problem, hint, value=True)
    start = failure.start
    opener = lines.text[start : start + 1]
    if opener not in "[{" or not opener:
        # A pair in a list, [a: b]: the context is the pair, the bracket lies before it.
        start = max(
            lines.text.rfind("[", 0, failure.index), lines.text.rfind("{", 0, failure.index)
        )
        opener = lines.text[start : start + 1] if start >= 0 else ""
    if not opener:
        return None
    line = lines.number(start)
    if failure.index >= len(lines.text.rstrip()) and failure.line == line:
        problem = f'"{opener}" opened here is never closed'
        return failure.slip(
            start, "unclosed-bracket", problem, f'close it with "{_CLOSES[opener]}"'
        )
    if failure.line > line:
        problem = f'"{opener}" is not closed before line {failure.line}'
        return failure.slip(
            start, "unclosed-bracket", problem, f'close it with "{_CLOSES[opener]}"'
        )
    closer = failure.character
    if closer in "]}" and _OPENED_BY[closer] != opener:
        problem, hint = f'"{opener}" is closed by "{closer}"', f'close it with "{_CLOSES[opener]}"'
        return failure.slip(failure.index, "unclosed-bracket", problem, hint)
    if closer == ":":
        problem, hint = f'"," is missing between two entries inside "{opener}"', "{a: 1, b: 2}"
        return failure.slip(failure.index, "missing-comma", problem, hint, value=True)
    problem = (
        f'inside "{opener}" a value with "{closer}" needs quotes, or a "," is missing before it'
    )
    return failure.slip(failure.index, "unquoted-expression", problem, value=True)


def _behind_bracket(failure: Failure) -> Slip | None:
    before = failure.lines.text[: failure.index].rstrip(" ")
    if not before.endswith(("]", "}")) or not failure.problem.startswith("expected"):
        return None
    problem = f'the value goes on behind its closing "{before[-1]}"'
    hint = "if all of it is text, put it in quotes"
    return failure.slip(failure.index, "behind-bracket", problem, hint, value=True)


def _behind_alias(failure: Failure) -> Slip | None:
    begin = failure.lines.start(failure.line)
    found = re.search(r"\*[\w-]+ +$", failure.lines.text[begin : failure.index])
    if found is None or not failure.problem.startswith("expected"):
        return None
    problem, hint = 'text goes on behind the alias "*"', "if all of it is text, put it in quotes"
    return failure.slip(begin + found.start(), "behind-alias", problem, hint, value=True)


def _stray_bracket(failure: Failure) -> Slip | None:
    opener = _OPENED_BY.get(failure.character)
    if opener is None:
        return None
    problem = f'"{failure.character}" without its "{opener}"'
    return failure.slip(failure.index, "unclosed-bracket", problem, value=True)


def _indentation(failure: Failure) -> Slip | None:
    if not failure.problem.startswith("expected"):
        return None
    return indent_slip(failure.lines, failure.line, failure.problem)


#: What is tried, in this order: the sure signs first.
_KNOWN: Final[tuple[Callable[[Failure], Slip | None], ...]] = (
    _tab,
    _unclosed_quote,
    _escape,
    _template,
    _reference_in_braces,
    _behind_quote,
    _tag,
    _unfit_first_character,
    _colon_in_text,
    _no_colon,
    _list_on_key_line,
    _expression_in_braces,
    _bracket,
    _behind_bracket,
    _behind_alias,
    _stray_bracket,
    _indentation,
)
_NO_SPACE: Final = re.compile(r"([^\s:{}\[\]'\"#&*!|>]+):(\S.*)")
