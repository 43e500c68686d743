"""One node of dora's: ``python -m tests.benchmarks.peers.dora_node ROLE FILE``."""

from __future__ import annotations

import importlib
import itertools
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.jobs import Chain, FrameChain


def main(role: str, file: str) -> None:
    """Be the source, a step or the sink of a chain."""
    chain: Chain = pickle.loads(Path(file).read_bytes())
    node: Any = importlib.import_module("dora").Node()
    {"source": _source, "step": _step, "sink": _sink}[role](chain, node)


def _source(chain: Chain, node: Any) -> None:
    turns = itertools.cycle(range(chain.workers))
    for number, (turn, item) in enumerate(zip(turns, chain.source(), strict=False)):
        _send(node, f"step-{turn}", chain, item, number)


def _step(chain: Chain, node: Any) -> None:
    assert chain.step is not None
    for number, item in _received(chain, node):
        _send(node, "result", chain, chain.step(item), number)


def _sink(chain: Chain, node: Any) -> None:
    sink = chain.sinks[0]()
    early: dict[int, Any] = {}
    due = 0
    for number, item in _received(chain, node):
        early[number] = item
        while due in early:
            sink(early.pop(due))
            due += 1
    sink.finish()


def _send(node: Any, output: str, chain: Chain, item: Any, number: int) -> None:
    """Arrays are Arrow's as they are, objects are pickled."""
    array = item.reshape(-1) if isinstance(chain, FrameChain) else _bytes(pickle.dumps(item))
    node.send_output(output, importlib.import_module("pyarrow").array(array), {"number": number})


def _received(chain: Chain, node: Any) -> Iterator[tuple[int, Any]]:
    for event in node:
        if event["type"] == "INPUT":
            array = event["value"].to_numpy()
            item = (
                array.reshape(chain.shape)
                if isinstance(chain, FrameChain)
                else pickle.loads(array.tobytes())
            )
            yield event["metadata"]["number"], item


def _bytes(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
