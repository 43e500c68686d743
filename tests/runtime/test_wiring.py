from __future__ import annotations

import pipeflow
from pipeflow.runtime.flow.wiring import wire


def test_readers_share_a_queue_only_where_no_unit_can_part() -> None:
    numbers = {"use": "range", "with": {"stop": 9}}
    over_queue = {"from": "one", "transport": "queue"}
    stages = {
        "all": numbers,
        "one": {"use": "map", "inputs": "all", "with": {"expr": "item"}},
        "three": {"use": "map", "inputs": over_queue, "replicas": 3, "with": {"expr": "item"}},
    }
    pairs = {"call": "operator:add", "inputs": {"a": "three", "b": "all"}}

    alone = pipeflow.plan({"stages": {**stages, "end": {"use": "null", "inputs": "three"}}})
    zipped = pipeflow.plan({"stages": {**stages, "end": pairs}})

    into_three = [
        [len(channel.readers) for channel in wire(plan) if plan.edges[channel.edge].target == 2]
        for plan in (alone, zipped)
    ]
    assert into_three == [[3], [1, 1, 1]]
