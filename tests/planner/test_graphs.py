"""The part of networkx that the planner loads does what the whole of it does, and stays ours."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import networkx as nx
import pytest

from pipeflow.planner import graphs

FLOWS = [
    [("a", "b"), ("b", "c")],
    [("a", "c"), ("b", "c"), ("c", "d"), ("a", "d")],
    [("z", "a"), ("y", "a"), ("a", "m"), ("a", "n"), ("n", "m")],
    [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")],
]


def answers(library: Any, links: list[tuple[str, str]]) -> dict[str, object]:
    """All that the planner asks of networkx."""
    graph = library.DiGraph()
    graph.add_edges_from(links)
    acyclic = library.is_directed_acyclic_graph(graph)
    upwards = graph.reverse()
    return {
        "order": list(library.lexicographical_topological_sort(upwards)) if acyclic else [],
        "sorted": list(library.topological_sort(graph)) if acyclic else [],
        "circle": [] if acyclic else list(map(list, library.find_cycle(graph))),
        "above": [sorted(library.ancestors(graph, node)) for node in graph],
        "below": [sorted(library.descendants(graph, node)) for node in graph],
        "knots": []
        if acyclic
        else sorted(map(sorted, library.strongly_connected_components(graph))),
    }


@pytest.mark.parametrize("links", FLOWS)
def test_the_part_answers_as_the_whole(links: list[tuple[str, str]]) -> None:
    program = (
        "import json, sys\n"
        "from pipeflow.planner.graphs import nx\n"
        "kept = dict(sys.modules)\n"
        "from tests.planner.test_graphs import answers\n"
        "for name in {*sys.modules} - {*kept}:\n"
        "    del sys.modules[name]\n"
        f"print(json.dumps([answers(nx, {links!r}), 'networkx' in sys.modules]))\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    expected = answers(nx, links)
    # Only a file with a circle needs the whole.
    assert json.loads(told) == [expected, expected["circle"] != []]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        pytest.param(
            "from pipeflow.planner.graphs import nx; import networkx;"
            "print(networkx is nx, networkx.pagerank.__name__)",
            "False pagerank",
            id="who imports networkx afterwards gets it whole",
        ),
        pytest.param(
            "from pipeflow.planner.graphs import nx; g = nx.DiGraph([('a', 'b')]);"
            "print(*g, nx.density(g), nx.is_tree(g))",
            "a b 0.5 True",
            id="a name that was not foreseen is found in the whole",
        ),
        pytest.param(
            "import networkx; from pipeflow.planner.graphs import nx; print(networkx is nx)",
            "True",
            id="what is loaded already is used",
        ),
        pytest.param(
            "import os; os.environ['NETWORKX_CACHE_CONVERTED_GRAPHS'] = '1';"
            "from pipeflow.planner.graphs import nx; import networkx; print(networkx is nx)",
            "True",
            id="what is configured is loaded as it is",
        ),
    ],
)
def test_whatever_is_unusual_is_given_the_whole(program: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == told.split()


def test_a_networkx_that_is_built_otherwise_is_loaded_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith("networkx")}
    monkeypatch.setattr(graphs, "_USED", ("algorithms.no_such_module",))
    try:
        loaded = graphs.load()
        assert loaded is sys.modules["networkx"]
        assert callable(loaded.pagerank)
    finally:
        graphs._forget()
        sys.modules.update(mine)
