"""Events: PyYAML's parser in Python, which also remembers where quoted text began.

Never its C twin: that one overflows the stack on deep nesting.
"""

from __future__ import annotations

import re
from typing import Final

from pipeflow.config.pyyaml import (
    Event,
    Mark,
    NodeEvent,
    Parser,
    ScalarToken,
    Scanner,
)

_ANCHOR: Final = re.compile(r"&[^\s,\[\]{}]+\s*")
_TAG: Final = re.compile(r"!(<[^>\s]*>|[^\s,\[\]{}]*)\s*")


class _Text:
    """A text and a place in it, as ``yaml.reader.Reader`` has them for its scanner.

    That one also looks for characters that YAML forbids; ``decode`` has done that.
    """

    def __init__(self, text: str) -> None:
        self.buffer = text + "\0"
        self.pointer = self.index = 0
        self.line = self.column = 0
        self.encoding = None

    def peek(self, index: int = 0) -> str:
        """The character so far behind the place."""
        return self.buffer[self.pointer + index]

    def prefix(self, length: int = 1) -> str:
        """The text behind the place."""
        return self.buffer[self.pointer : self.pointer + length]

    def forward(self, length: int = 1) -> None:
        """Go on by so many characters."""
        buffer = self.buffer
        for at in range(self.pointer, self.pointer + length):
            character = buffer[at]
            if character in "\n\x85\u2028\u2029" or (character == "\r" and buffer[at + 1] != "\n"):
                self.line += 1
                self.column = 0
            elif character != "\ufeff":
                self.column += 1
        self.pointer = self.index = self.pointer + length

    def get_mark(self) -> Mark:
        """The place."""
        return Mark("", self.index, self.line, self.column, self.buffer, self.pointer)


class Events(_Text, Scanner, Parser):
    """The events of a text, one after the other.

    Attributes:
        quotes: Where each quoted scalar begins and ends, as indices; an unclosed one swallows
            what follows, and the error comes lines later.
    """

    def __init__(self, text: str) -> None:
        self.quotes: list[tuple[int, int]] = []
        self.text = text
        _Text.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def next_event(self) -> Event:
        """Take the next event; the one that ends the stream is never asked for twice."""
        event = self.get_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        assert isinstance(event, Event)
        return event

    def following_event(self) -> Event:
        """The next event, left where it is."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        assert isinstance(event, Event)
        return event

    def scan_flow_scalar(self, style: str) -> ScalarToken:
        """As PyYAML does it, remembered."""
        token = super().scan_flow_scalar(style)
        self.quotes.append((token.start_mark.index, token.end_mark.index))
        return token

    def content_index(self, event: NodeEvent) -> int:
        """Where a node itself begins, behind its anchor and tag."""
        index: int = start_of(event)
        end: int = end_of(event)
        for _ in range(2):
            found = _ANCHOR.match(self.text, index) or _TAG.match(self.text, index)
            if found and found.end() <= end:
                index = found.end()
        return index

    def tag_span(self, event: NodeEvent) -> tuple[int, int]:
        """Where the tag of a node begins and ends."""
        start: int = start_of(event)
        if anchor := _ANCHOR.match(self.text, start):
            start = anchor.end()
        found = _TAG.match(self.text, start)
        return (start, start + len(found[0].rstrip())) if found else (start, start)


def start_of(event: Event) -> int:
    """Index of the first character of an event, its anchor and tag included."""
    return _index(event.start_mark)


def end_of(event: Event) -> int:
    """Index behind the last character of an event."""
    return _index(event.end_mark)


def _index(mark: object) -> int:
    # The stubs make marks optional; those of a parser's events are always there.
    assert isinstance(mark, Mark)
    index: int = mark.index
    return index
