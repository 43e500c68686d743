"""What plain scalars lose without a word: a comment that cuts, a colon without its space."""

from __future__ import annotations

import re
from typing import Final

from pipeflow.config.nodes import Scalar
from pipeflow.errors import Finding
from pipeflow.values import replace

_COMMENT: Final = re.compile(r"[ \t]+(#[^\r\n]*)")
_NO_SPACE: Final = re.compile(r"([A-Za-z_][\w-]*):(\S.*)")
_CLOSER: Final = {"(": ")", "[": "]", "{": "}"}


def comment_behind(text: str, index: int) -> str:
    """The comment that follows an index on its line, with its ``#``; empty without one."""
    found = _COMMENT.match(text, index)
    return found[1].rstrip() if found else ""


def cut_by_comment(scalar: Scalar) -> Finding | None:
    """What to tell when ``" #"`` ended a value too early, as far as that can be seen.

    A bracket or quote left open before the ``#`` and closed behind it is a sure sign.
    """
    if not scalar.comment or scalar.quoted or not _left_open(scalar.text, scalar.comment):
        return None
    whole = f"{scalar.text} {scalar.comment}"
    quote = "'" if '"' in whole else '"'
    return Finding(
        at=scalar.at,
        code="cut-by-comment",
        problem=f'" #" begins a comment: the value ends at "{scalar.text}"',
        hint=f"write {quote}{whole}{quote}",
        length=scalar.length,
    )


def missing_space(scalar: Scalar) -> Finding | None:
    """What to tell when a text stands where a mapping is due and looks like ``key:value``."""
    found = _NO_SPACE.fullmatch(scalar.text)
    if found is None or scalar.quoted:
        return None
    at = replace(scalar.at, column=scalar.at.column + len(found[1]))
    hint = f"{found[1]}: {found[2]}"
    return Finding(at=at, code="missing-space", problem='missing space after ":"', hint=hint)


def _left_open(text: str, comment: str) -> bool:
    for opener, closer in _CLOSER.items():
        if text.count(opener) > text.count(closer) and closer in comment:
            return True
    if text.count('"') % 2 and comment.count('"') % 2:
        return True
    # An apostrophe is no quote: it stands behind a letter.
    opening = len(re.findall(r"(?<!\w)'", text))
    closing = len(re.findall(r"'(?!\w)", text))
    return opening > closing and "'" in comment
