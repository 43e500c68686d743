"""Lines: from a character's index in a file's text to its line and column, and back."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from pipeflow.errors import Location

#: What editors count as the end of a line. YAML 1.1 knows three more, and they do not.
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Lines:
    """The text of one file, and where its lines begin.

    Attributes:
        file: The path as the user wrote it.
        text: The whole text.
    """

    def __init__(self, file: str, text: str, via: Location | None = None) -> None:
        self.file = file
        self.text = text
        self._via = via
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]

    def at(self, index: int) -> Location:
        """The place of a character; of one beyond the text, the end of its last line."""
        index = max(0, min(index, len(self.text)))
        line = bisect_right(self._starts, index)
        if line > 1 and self._starts[line - 1] == len(self.text):
            # Behind the last line break there is no line that an editor could show.
            line -= 1
            return Location(self.file, line, len(self.line(line)) + 1, self._via)
        return Location(self.file, line, index - self._starts[line - 1] + 1, self._via)

    def number(self, index: int) -> int:
        """The line that a character lies on, counted from 1."""
        return self.at(index).line

    def start(self, line: int) -> int:
        """Index of the first character of a line."""
        return self._starts[line - 1]

    def line(self, number: int) -> str:
        """A line without its line break; empty when there is no such line."""
        if not 1 <= number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")

    def length_on_line(self, start: int, end: int) -> int:
        """How many characters of ``start:end`` lie on the first of its lines; at least 1."""
        number = bisect_right(self._starts, start)
        last = self.start(number) + len(self.line(number))
        return max(1, min(end, last) - start)


def indentation(line: str) -> int:
    """Spaces that a line begins with; ``- `` of a list counts as two."""
    found = re.match(r" *(?:- +)*", line)
    return found.end() if found else 0
