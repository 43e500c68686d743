"""What is loaded of PyYAML does what the whole of it does, and stays ours."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from pipeflow.config.events import Events


class Whole(Reader, Scanner, Parser):
    """PyYAML's own row of classes."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def told(parser: Whole | Events) -> list[tuple[object, ...]]:
    """All events with their places, or where and why they end."""
    events: list[tuple[object, ...]] = []
    try:
        while parser.check_event():
            event: Any = parser.get_event()  # type: ignore[no-untyped-call]  # as the stubs have it
            marks = [(m.index, m.line, m.column) for m in (event.start_mark, event.end_mark)]
            events.append((type(event).__name__, getattr(event, "value", None), *marks))
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        events.append((type(error).__name__, mark and (mark.index, mark.line, mark.column)))
    return events


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\nb: [x, 'y', \"z\"]\n",
        "a: 1\r\nb:\r  - c\r\n\r\n",
        "a: b\x85c: d\u2028e: f\u2029",
        "\ufeffa: \ufeff'b\ufeff' # c\n",
        "a: |\n  text\n\n  more\nb: >-\n  folded\n  text\n",
        "&x a: *x\n? [1]\n: !tag {2: 3}\n",
        "'never closed\n\nand on",
        "a: [1, 2\nb: }",
        "a:\tb\n\tc",
        "---\n...\n--- x",
        "%YAML 1.2\n---\nd\u00e9j\u00e0: \U0001f600",
    ],
)
def test_the_part_reads_as_the_whole(text: str) -> None:
    assert told(Events(text)) == told(Whole(text))


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        pytest.param(
            "import pipeflow.config.pyyaml as part, sys; print('yaml' in sys.modules);"
            "import yaml; print(yaml.safe_load('a: [1]'), yaml.Mark is part.Mark)",
            "False {'a': [1]} False",
            id="who imports yaml afterwards gets it whole",
        ),
        pytest.param(
            "import yaml; import pipeflow.config.pyyaml as part; import sys;"
            "print(yaml.Mark is part.Mark, sys.modules['yaml'] is yaml)",
            "True True",
            id="what is loaded already is used",
        ),
        pytest.param(
            "import threading; end = threading.Event(); threading.Thread(target=end.wait).start();"
            "import pipeflow.config.pyyaml as part; import yaml; print(yaml.Mark is part.Mark);"
            "end.set()",
            "True",
            id="with other threads it is the whole",
        ),
        pytest.param(
            "import sys; sys.modules['yaml.scanner'] = None\n"
            "try: import pipeflow.config.pyyaml\n"
            "except ModuleNotFoundError: pass\n"
            "del sys.modules['yaml.scanner']\n"
            "import pipeflow.config.pyyaml as part, yaml; print(yaml.Mark is part.Mark)",
            "True",
            id="what cannot be loaded in part leaves nothing in its place",
        ),
    ],
)
def test_others_get_the_whole(program: str, answer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == answer.split()
