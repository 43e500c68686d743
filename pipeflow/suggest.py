"""Did you mean: the known word nearest to an unknown one.

Nothing else of ours is imported here; whoever meets a wrong word asks here, so that all of pipeflow
takes the same slips for slips.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Longer words are not compared: the table below grows with the square, and no name is that long.
_LONGEST = 80
#: More names than that are no answer, but a list.
_FEW = 3


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` is most likely a slip of, or ``None``.

    A slip is a letter too many, too few, another one, or two letters swapped; words of three
    letters may bear one, longer ones a third of their letters. Capitals do not count. Ties go to
    the first known word.
    """
    folded = word.casefold()
    best: str | None = None
    best_distance = _LONGEST
    for candidate in known:
        longer = max(len(word), len(candidate))
        if longer > _LONGEST:
            continue
        below = min(best_distance, _slips_allowed(longer) + 1)
        distance = edit_distance(folded, candidate.casefold(), below=below)
        if distance < below:
            best, best_distance = candidate, distance
    return best


def meant_names(word: str, known: Iterable[str]) -> list[str]:
    """The names that a dotted one was most likely meant to be; none, if they are too many.

    That is ``did_you_mean``, or those that have the greatest part of their words in common with it:
    ``csv`` is of ``csv.read`` and ``csv.write``, ``read_lines`` of ``lines``.
    """
    known = list(known)
    if near := did_you_mean(word, known):
        return [near]
    words = _words(word)
    shares = {name: _share(words, _words(name)) for name in known}
    most = max(shares.values(), default=0.0)
    nearest = [name for name, share in shares.items() if share == most]
    return nearest if most and len(nearest) <= _FEW else []


def spell_choice(names: Iterable[str]) -> str:
    """Names as text: ``'a' or 'b'``."""
    return " or ".join(f"'{name}'" for name in names)


def edit_distance(a: str, b: str, below: int = _LONGEST) -> int:
    """Slips between two words (optimal string alignment); ``below`` or more comes as ``below``."""
    if abs(len(a) - len(b)) >= below:
        return below
    before_last: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return min(last[-1], below)


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", name.casefold()))


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    """Part of all the words of both that both have."""
    return len(one & other) / (len(one | other) or 1)  # equal parts are equal floats


def _slips_allowed(length: int) -> int:
    return max(1, min(3, length // 3)) if length > 1 else 0
