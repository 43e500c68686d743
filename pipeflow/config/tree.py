"""From YAML events to a tree of nodes, strict: data only, bounded, a place for everything.

    text ─> Events (PyYAML's parser in Python) ─> Builder ─> nodes and findings
                └─ syntax error ─> syntax.retell ─> the value is blanked, and the text read again

Reading again with the faulty value blanked finds all mistakes of a file at once.
"""

from __future__ import annotations

from typing import Final

from pipeflow.config.decode import odd_character
from pipeflow.config.events import Events, end_of, start_of
from pipeflow.config.flow import mend_items, mend_pairs
from pipeflow.config.lines import Lines
from pipeflow.config.merge import Pair, merge
from pipeflow.config.nodes import Map, Node, Scalar, Seq, kind_of
from pipeflow.config.plain_text import comment_behind, cut_by_comment
from pipeflow.config.problem import Problem
from pipeflow.config.pyyaml import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from pipeflow.config.scalars import resolve
from pipeflow.errors import Finding, Location
from pipeflow.suggest import did_you_mean
from pipeflow.values import dataclass

MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
#: Nodes that one anchor may stand for, anchors inside it counted in full.
MAX_EXPANSION: Final = 1000
#: How often a text with syntax errors is read again for the mistakes behind them.
_MOST_ROUNDS: Final = 10
_FEWER: Final = "write out what is meant, and keep data in files"
_FLATTER: Final = "no key of a pipeline needs as much: keep data in files"


def read_tree(lines: Lines) -> tuple[Node | None, list[Finding]]:
    """The tree of one document, and all that is wrong with it; never raises.

    The tree is ``None`` for a file without content, and when a syntax error hides its shape.
    """
    text = lines.text
    findings: list[Finding] = []
    blanked: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        events = Events(text)
        builder = Builder(lines, events, frozenset(blanked))
        try:
            root = builder.document()
        except _GivenUp:
            return None, findings + builder.findings
        except (MarkedYAMLError, ValueError, OverflowError) as error:
            # ValueError, OverflowError: "\UFFFFFFFF" and the like stand for no character.
            if any(finding.code == "too-deep" for finding in builder.findings):
                # Beyond the limit nobody wants to hear about brackets.
                return None, findings + builder.findings
            from pipeflow.config.syntax import retell  # it knows all slips; most files have none

            slip = retell(error, lines, events)
            findings.append(slip.finding)
            if slip.value is None or slip.value[0] in blanked:
                return None, findings + builder.findings
            start, end = slip.value
            blanked.add(start)
            text = text[:start] + "~" + " " * (end - start - 1) + text[end:]
        else:
            return root, findings + builder.findings
    return None, findings


@dataclass(frozen=True, slots=True)
class _Built:
    """A node, how many nodes it holds in all, and how many levels."""

    node: Node
    size: int = 1
    height: int = 1


class _GivenUp(Exception):
    """The file is too big to go on with."""


class Builder:
    """Builds the tree of one document from its events.

    Attributes:
        findings: What is wrong so far.
    """

    def __init__(self, lines: Lines, events: Events, blanked: frozenset[int]) -> None:
        self.findings: list[Finding] = []
        self._lines = lines
        self._events = events
        self._blanked = blanked
        self._anchors: dict[str, _Built] = {}
        #: Anchors whose node is still being read, with the line they stand on.
        self._open: dict[str, int] = {}
        self._expanded = False
        self._nodes = 0
        #: Where the last scalar ended: behind the ``:`` if it was empty.
        self._scalar_end = 0

    def document(self) -> Node | None:
        """The first document; a second one is a finding.

        Raises:
            MarkedYAMLError: The text is not YAML.
            ValueError: Likewise, and OverflowError too.
            _GivenUp: The file passes ``MAX_NODES``, or is nested beyond all measure.
        """
        self._events.next_event()
        start = self._events.next_event()
        if isinstance(start, StreamEndEvent):
            return None
        built = self._node(1)
        self._events.next_event()
        after = self._events.next_event()
        if isinstance(after, DocumentStartEvent):
            self._second_document(after)
        return built.node

    def _second_document(self, event: Event) -> None:
        index = start_of(event)
        problem, hint = 'a second document starts here ("---")', "one pipeline per file"
        self._found(index, 3, "second-document", problem, hint)

    def _node(self, depth: int) -> _Built:
        event = self._events.next_event()
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(start_of(event))
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        assert isinstance(event, NodeEvent), event
        anchor = event.anchor
        if anchor is not None:
            self._open[anchor] = self._lines.number(start_of(event))
        built = self._content(event, depth)
        if anchor is not None:
            del self._open[anchor]
            self._anchors[anchor] = built
        return built

    def _content(self, event: NodeEvent, depth: int) -> _Built:
        match event:
            case ScalarEvent():
                return self._scalar(event)
            case SequenceStartEvent() | MappingStartEvent():
                tagged = self._tag(event, event.tag)
                if depth > MAX_DEPTH:
                    problem = f"nested deeper than {MAX_DEPTH} levels"
                    self._found(start_of(event), 1, "too-deep", problem, _FLATTER)
                    return self._skip(event)
                if isinstance(event, SequenceStartEvent):
                    built = self._sequence(event, depth)
                else:
                    built = self._mapping(event, depth)
                return _Built(self._broken(event)) if tagged else built
            case _:
                raise AssertionError(event)

    def _scalar(self, event: ScalarEvent) -> _Built:
        lines, end = self._lines, end_of(event)
        start = self._events.content_index(event) if event.anchor else start_of(event)
        self._scalar_end = end
        at = lines.at(start)
        length = lines.length_on_line(start, end)
        text: str = event.value
        if self._tag(event, event.tag) or start in self._blanked:
            return _Built(Scalar(at=at, length=length, value=None, text=text, broken=True))
        if event.style is not None:
            if any("\ud800" <= character <= "\udfff" for character in text):
                problem = "an escape here stands for half a character"
                self._found(start, length, "bad-escape", problem, "write the character itself")
                text = text.encode("utf-8", "replace").decode()
            return _Built(Scalar(at=at, length=length, value=text, text=text, quoted=True))
        comment = comment_behind(lines.text, end) if text else ""
        value = resolve(text)
        broken = False
        if isinstance(value, Problem):
            self.findings.append(value.found_at(at, length))
            value, broken = text, True
        scalar = Scalar(
            at=at, length=length, value=value, text=text, comment=comment, broken=broken
        )
        if comment and (cut := cut_by_comment(scalar)) is not None:
            self.findings.append(cut)
            return _Built(Scalar(at=at, length=length, value=text, text=text, broken=True))
        return _Built(scalar)

    def _sequence(self, event: SequenceStartEvent, depth: int) -> _Built:
        items: list[_Built] = []
        while not isinstance(self._events.following_event(), SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._events.next_event()
        at = self._lines.at(start_of(event))
        nodes = tuple(built.node for built in items)
        if event.flow_style:
            nodes, slips = mend_items(nodes)
            self.findings.extend(slips)
        node = Seq(at=at, items=nodes, flow=bool(event.flow_style))
        return _Built(node, *_measure(items))

    def _mapping(self, event: MappingStartEvent, depth: int) -> _Built:
        if event.flow_style and self._is_template(event):
            problem, hint = '"{{ }}" is not substituted here', 'use "${params.NAME}", quoted'
            self._found(start_of(event), 2, "braces", problem, hint)
            return self._skip(event)
        pairs: list[Pair] = []
        values: list[_Built] = []
        while not isinstance(self._events.following_event(), MappingEndEvent):
            pair, built = self._pair(depth)
            values.append(built)
            if pair is not None:
                pairs.append(pair)
        self._events.next_event()
        if event.flow_style:
            pairs, slips = mend_pairs(pairs)
            self.findings.extend(slips)
        entries, slips = merge(pairs)
        self.findings.extend(slips)
        at = self._lines.at(start_of(event))
        node = Map(at=at, entries=entries, flow=bool(event.flow_style))
        return _Built(node, *_measure(values))

    def _pair(self, depth: int) -> tuple[Pair | None, _Built]:
        event = self._events.following_event()
        start = start_of(event)
        known = len(self.findings)
        key = self._node(depth + 1).node
        # What is wrong with a key as a value (0755) matters less than that it is no name.
        after_key = self.findings[known:]
        built = self._node(depth + 1)
        length = key.length
        value = self._not_empty(built.node, key, start, length)
        if not isinstance(key, Scalar) or not (key.quoted or isinstance(key.value, str)):
            if not after_key:
                self._key_not_text(key, start, length)
            return None, built
        merges = key.text == "<<" and not key.quoted
        pair = Pair(key=key, at=self._lines.at(start), length=length, value=value, merges=merges)
        if (odd := odd_character(key.text)) is not None:
            problem = f"control character {odd} in a name"
            self._found(start, length, "control-character", problem, "remove it")
        return pair, built

    def _not_empty(self, value: Node, key: Node, start: int, length: int) -> Node:
        """An empty value gets the place of its key; one cut off by ``#`` is told."""
        if not (isinstance(value, Scalar) and not value.text and not value.quoted):
            return value
        at = self._lines.at(start)
        behind = comment_behind(self._lines.text, self._scalar_end)
        if behind[1:2].strip(" #\t!") and isinstance(key, Scalar):
            place = self._lines.text.index("#", self._scalar_end)
            shown = behind.split(" #")[0].rstrip()
            problem = f"'{key.text}' is empty: \"{shown}\" was read as a comment"
            self._found(place, len(shown), "comment", problem, f'write "{shown}" in quotes')
            return Scalar(at=at, length=length, value=None, text="", broken=True)
        return Scalar(at=at, length=length, value=None, text="", broken=value.broken)

    def _key_not_text(self, key: Node, start: int, length: int) -> None:
        hint = "write a text in its place"
        if isinstance(key, Scalar) and key.text:
            hint = f'write "{key.text}" in quotes'
        problem = f"keys must be text, got {kind_of(key)}"
        self._found(start, length, "key-not-text", problem, hint)

    def _alias(self, event: AliasEvent, depth: int) -> _Built:
        name = event.anchor or ""
        index = start_of(event)
        length = len(name) + 1
        broken = Scalar(
            at=self._lines.at(index), length=length, value=None, text=f"*{name}", broken=True
        )
        if name in self._open:
            problem = f"alias '*{name}' lies inside its own anchor (line {self._open[name]})"
            hint = "write out what it stands for: it would never come to an end"
            self._found(index, length, "recursive-alias", problem, hint)
            return _Built(broken)
        built = self._anchors.get(name)
        if built is None:
            near = did_you_mean(name, self._anchors)
            hint = (
                f"did you mean '*{near}'?" if near else f'if it is text, write "*{name}" in quotes'
            )
            problem = f"no anchor '&{name}' before this alias"
            self._found(index, length, "unknown-anchor", problem, hint)
            return _Built(broken)
        if built.size > MAX_EXPANSION:
            problem = f"aliases expand to more than {MAX_EXPANSION} nodes"
            if not self._expanded:  # the others are of the same making
                self._found(index, length, "alias-expansion", problem, _FEWER)
            self._expanded = True
            return _Built(broken)
        if depth + built.height - 1 > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            self._found(index, length, "too-deep", problem, _FLATTER)
            return _Built(broken)
        self._nodes += built.size
        if self._nodes > MAX_NODES:
            self._too_many(index)
        return built

    def _tag(self, event: NodeEvent, tag: str | None) -> bool:
        if tag is None:
            return False
        index, end = self._events.tag_span(event)
        shown = self._lines.text[index:end] or tag
        problem = f'tags ("{shown}") are not allowed; pipeline files hold data only'
        hint = (
            f'if it is text, write it in quotes: "{shown}"' if shown[:2] != "!!" else "take it out"
        )
        self._found(index, len(shown), "tag", problem, hint)
        return True

    def _is_template(self, event: MappingStartEvent) -> bool:
        index = start_of(event)
        return self._lines.text.startswith("{{", index)

    def _skip(self, event: NodeEvent) -> _Built:
        """Pass over a collection whose start was taken, without recursion.

        Raises:
            _GivenUp: It is nested too deep even for that.
        """
        level = 1
        while level:
            following = self._events.next_event()
            if isinstance(following, SequenceStartEvent | MappingStartEvent):
                level += 1
                if level > MAX_DEPTH:
                    # The scanner's work grows with the square of the depth: no further.
                    raise _GivenUp
            elif isinstance(following, CollectionEndEvent):
                level -= 1
        return _Built(self._broken(event))

    def _broken(self, event: NodeEvent) -> Scalar:
        return Scalar(at=self._lines.at(start_of(event)), value=None, text="", broken=True)

    def _too_many(self, index: int) -> None:
        problem = f"more than {MAX_NODES:,} values in one file"
        self._found(index, 1, "too-large", problem, "keep data in files of its own")
        raise _GivenUp

    def _found(self, index: int, length: int, code: str, problem: str, hint: str) -> None:
        at: Location = self._lines.at(index)
        finding = Finding(at=at, code=code, problem=problem, hint=hint, length=max(1, length))
        self.findings.append(finding)


def _measure(children: list[_Built]) -> tuple[int, int]:
    size = 1 + sum(child.size for child in children)
    height = 1 + max((child.height for child in children), default=0)
    return size, height
