"""Hints for values that do not fit: one that would."""

from __future__ import annotations

import pytest

from pipeflow.config.shape.fitting import fitting
from pipeflow.spec.options import Option, OptionType

COUNT = Option(name="count", types=(OptionType.INTEGER,), minimum=2, maximum=8)
SHARE = Option(name="share", types=(OptionType.NUMBER,), minimum=0.5)
LEVEL = Option(name="level", types=(OptionType.STRING,), choices=("low", "high"), default="high")
LIVE = Option(name="live", types=(OptionType.BOOLEAN,))
WIDTH = Option(name="width", types=(OptionType.INTEGER,), default=None, examples=([1], 256))
CUTS = Option(name="cuts", types=(OptionType.EXPRESSIONS,))
KEY = Option(name="key", types=(OptionType.EXPRESSION,))
FILE = Option(name="file", types=(OptionType.PATH,))
REST = Option(name="rest", types=(OptionType.MAPPING,))
NAMES = Option(name="names", types=(OptionType.LIST,), examples=(["a"],))


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        (COUNT, -1, "count: 2"),
        (COUNT, 9.0, "count: 8"),
        (COUNT, True, "count: 2"),
        (COUNT, "many", "count: 2"),
        (SHARE, 0.25, "share: 0.5"),
        (LEVEL, "loud", "level: high"),
        (LIVE, 7, "live: true"),
        (WIDTH, None, "width: 256"),
        (NAMES, 3, "names: [a]"),
        (CUTS, "item > 2", "cuts: {name: 'item[\"id\"]'}"),
        (KEY, [1], "key: 'item[\"id\"]'"),
        (FILE, 3, "file: data/file"),
        (REST, 3, ""),
    ],
)
def test_the_hint_is_as_near_as_can_be_told(option: Option, value: object, hint: str) -> None:
    assert fitting(option, value) == hint
