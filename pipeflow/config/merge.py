"""The pairs of one YAML mapping made into entries: merge keys filled in, no key twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeflow.config.nodes import Entry, Map, Node, Scalar, Seq, kind_of
from pipeflow.errors import Finding, Location
from pipeflow.values import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key with its value, as they were read.

    Attributes:
        key: The key; its value is text.
        at: Where the key stands.
        length: How many characters it takes.
        value: What it holds.
        merges: It is the merge key ``<<``.
    """

    key: Scalar
    at: Location
    length: int
    value: Node
    merges: bool = False


def merge(pairs: Sequence[Pair]) -> tuple[tuple[Entry, ...], list[Finding]]:
    """The entries of a mapping, and what is wrong with its keys.

    By the rules of YAML 1.1: what the mapping says itself wins over what is merged, and of
    several merged mappings the first one wins. Of two equal keys the first is kept.
    """
    findings: list[Finding] = []
    own: dict[str, Pair] = {}
    for pair in pairs:
        first = own.setdefault(pair.key.text, pair)
        if first is not pair:
            findings.append(_given_twice(pair, first))
    taken = set(own)
    entries: list[Entry] = []
    for pair in own.values():
        if not pair.merges:
            entry = Entry(
                key=pair.key.text, key_at=pair.at, key_length=pair.length, value=pair.value
            )
            entries.append(entry)
            continue
        for source in _sources(pair, findings):
            fresh = [entry for entry in source.entries if entry.key not in taken]
            taken.update(entry.key for entry in fresh)
            entries.extend(replace(entry, merged=True) for entry in fresh)
    return tuple(entries), findings


def _sources(pair: Pair, findings: list[Finding]) -> Iterator[Map]:
    candidates = pair.value.items if isinstance(pair.value, Seq) else (pair.value,)
    for candidate in candidates:
        if isinstance(candidate, Map):
            yield candidate
        elif not (isinstance(candidate, Scalar) and candidate.broken):
            findings.append(
                Finding(
                    at=pair.at,
                    code="merge-key",
                    problem=f'"<<" merges mappings, got {kind_of(candidate)}',
                    hint="<<: *name, or <<: [*first, *second]",
                    length=pair.length,
                )
            )


def _given_twice(pair: Pair, first: Pair) -> Finding:
    hint = "<<: [*first, *second] merges several" if pair.merges else "remove one of them"
    return Finding(
        at=pair.at,
        code="duplicate-key",
        problem=f"'{pair.key.text}' is defined twice; first on line {first.at.line}",
        hint=hint,
        length=pair.length,
    )
