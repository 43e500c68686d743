"""Words for a test that failed: each difference at its place, then what the stages printed."""

from __future__ import annotations

from pipeflow.config.render import render_text
from pipeflow.testing.file_tests import Outcome


def told(outcome: Outcome, *, color: bool = False) -> str:
    """What was not as expected, over several lines."""
    parts = []
    for difference, finding in zip(outcome.differences, outcome.findings(), strict=True):
        parts.append(render_text([finding], outcome.sources, color=color).rstrip("\n"))
        parts += [f"    {line}".rstrip() for line in difference.lines]
    if outcome.printed:
        parts.append("  its stages said:")
        parts += [f"    {line}" for line in outcome.printed]
    return "\n".join(parts)
