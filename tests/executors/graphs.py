"""Pipelines drawn at random, and what must come of them; see ``test_random_graphs``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from tests.executors.stages.graphs import MODULUS

NUMBER: Final = "(item if isinstance(item, int) else int(item['n'] if 'n' in item else item[0]))"
#: Works for every kind of item.
KEY: Final = f"{NUMBER} % 4"
#: More would make runs long: each replica is a process.
MOST_WORKERS: Final = 14
#: A flow that may have become longer than this fans out no more.
MOST_ITEMS: Final = 400


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What comes out of a port.

    Attributes:
        port: As ``inputs`` names it.
        items: So many, or fewer.
        exact: Its order is decided by the file, not by arrival.
        drops: Something above may drop items.
        sources: The sources above.
        letters: A dead letter may come of a stage above: how many depends on when that one ends.
        copies: Each id may come more than once.
        scattered: Items of one way may come in any order.
    """

    port: str
    items: int
    exact: bool = True
    drops: bool = False
    sources: frozenset[str]
    letters: bool = False
    copies: bool = False
    scattered: bool = False


@dataclass
class Graph:
    """A pipeline.

    Attributes:
        stages: As the file has them.
        exact: Name of each sink to whether its order is decided by the file.
        scattered: Sinks that may get items of one way in any order.
        takes: A stage ends early, so what its writers send beyond that depends on arrival.
    """

    stages: dict[str, Any] = field(default_factory=dict)
    exact: dict[str, bool] = field(default_factory=dict)
    scattered: set[str] = field(default_factory=set)
    takes: bool = False

    @property
    def workers(self) -> int:
        """How many processes it takes."""
        return sum(int(stage.get("replicas", 1)) for stage in self.stages.values())


class Drawing:
    """Draws one graph, stage by stage.

    Args:
        draw: Of hypothesis.
        many: Stages may get lists, or be awaited.
    """

    def __init__(self, draw: st.DrawFn, *, many: bool = False) -> None:
        self.draw = draw
        self.many = many
        self.graph = Graph()
        self.flows: list[Flow] = []

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def edge(self, flow: Flow) -> dict[str, Any]:
        """An edge in its long form."""
        edge: dict[str, Any] = {
            "from": flow.port,
            "transport": self.draw(st.sampled_from(["pipe", "queue"])),
            "capacity": self.draw(st.sampled_from([1, 2, 3, 7, 30, 256])),
        }
        if self.number(0, 4) == 0:
            edge["arrays"] = "copy"
        return edge

    def add(self, call: str, inputs: Any = None, **settings: Any) -> str:
        """A stage more; its name."""
        name = f"s{len(self.graph.stages)}"
        stage = {"call": f"graphs:{call}", **settings}
        if inputs is not None:
            stage["inputs"] = inputs
        self.graph.stages[name] = stage
        return name

    def policy(self, then: str) -> Any:
        """A way to go on, with or without further tries, which are in vain."""
        tries = {"then": then, "retries": 2, "backoff": "0s"}
        return self.draw(st.sampled_from([then, tries]))

    def source(self) -> Flow:
        items = self.draw(st.sampled_from([0, 1, 5, 23, 60]))
        kind = self.draw(st.sampled_from(["number", "number", "object", "array"]))
        size = self.draw(st.sampled_from([1, 100, 20_000]))
        name = self.add("numbers", **{"with": {"stop": items, "kind": kind, "size": size}})
        return Flow(port=name, items=items, sources=frozenset([name]))

    def one_to_one(self, flow: Flow) -> Flow:
        """A plain function on one to three replicas, or some of its failings."""
        call = self.draw(st.sampled_from(["affine", "same", "sift", "fail"]))
        settings: dict[str, Any] = {"replicas": self.number(1, 3)}
        if call != "same":
            settings["with"] = {"by": self.number(0, 4)}
        if call == "fail":
            settings["on_error"] = self.policy("skip")
        name = self.add(call + self.way_of_calling(settings), self.edge(flow), **settings)
        return self.after(flow, name, drops=flow.drops or call in {"sift", "fail"})

    def way_of_calling(self, settings: dict[str, Any]) -> str:
        """Single calls, lists, many at once, or lists at once: what the function's name ends in."""
        if not self.many:
            return ""
        way: str = self.draw(st.sampled_from(["", "", "_many", "_later", "_many_later"]))
        if "many" in way:
            settings["batch"] = self.draw(st.sampled_from([1, 2, 5, 40]))
        if "later" in way:
            settings["concurrency"] = self.draw(st.sampled_from([1, 3, 50]))
        return way

    def after(self, flow: Flow, port: str, **changes: Any) -> Flow:
        values = {name: getattr(flow, name) for name in flow.__dataclass_fields__}
        return Flow(**{**values, "port": port, **changes})

    # ------------------------------------------------------------ kinds of steps

    def step_function(self, flow: Flow) -> list[Flow]:
        return [self.one_to_one(flow)]

    def step_fan(self, flow: Flow) -> list[Flow]:
        by = {"by": self.number(0, 3)}
        settings = {"replicas": self.number(1, 3), "on_error": self.policy("stop")}
        call = self.draw(st.sampled_from(["fan", "fan_later"])) if self.many else "fan"
        name = self.add(call, self.edge(flow), **{"with": by}, **settings)
        return [self.after(flow, name, items=flow.items * 3, drops=True)]

    def step_dead_letters(self, flow: Flow) -> list[Flow]:
        call = self.draw(st.sampled_from(["fail", "fan_and_fail"]))
        settings = {"with": {"by": self.number(0, 4)}, "replicas": self.number(1, 3)}
        if call == "fail":
            call += self.way_of_calling(settings)
        policy = self.policy("dead_letter")
        name = self.add(call, self.edge(flow), on_error=policy, **settings)
        out = self.after(flow, name, items=flow.items * 3, drops=True, letters=True)
        letters = self.after(out, f"{name}.errors", items=flow.items)
        saved = self.add("salvage", self.edge(letters), replicas=self.number(1, 2))
        return [out, self.after(letters, saved)]

    def step_keyed_function(self, flow: Flow) -> list[Flow]:
        settings: dict[str, Any] = {"replicas": self.number(2, 3), "partition": {"key": KEY}}
        call = "affine" + self.way_of_calling(settings)
        name = self.add(call, self.edge(flow), **settings, **{"with": {"by": 2}})
        return [self.after(flow, name)]

    def step_broadcast(self, flow: Flow) -> list[Flow]:
        """A function without state whose replicas all get everything."""
        name = self.add("same", self.edge(flow), replicas=2, partition="broadcast")
        return [self.after(flow, name, items=flow.items * 2, copies=True, drops=True)]

    def step_stateful(self, flow: Flow) -> list[Flow]:
        call = self.draw(st.sampled_from(["running", "in_pairs", "Sums"]))
        spread: dict[str, Any] = self.draw(
            st.sampled_from([{}, {"partition": {"key": KEY}}, {"partition": "broadcast"}])
        )
        if spread:
            spread = {**spread, "replicas": self.number(2, 3)}
        name = self.add(call, self.edge(flow), **spread)
        return [self.after(flow, name, items=flow.items * 3 + 6, copies=False, drops=True)]

    def step_split(self, flow: Flow) -> list[Flow]:
        name = self.add("split", self.edge(flow), outputs=["odd"], replicas=self.number(1, 3))
        return [
            self.after(flow, name, drops=True),
            self.after(flow, f"{name}.odd", drops=True),
        ]

    def step_take(self, flow: Flow) -> list[Flow]:
        count = self.number(0, 20)
        name = self.add("", self.edge(flow), **{"with": {"n": count}})
        stage = self.graph.stages[name]
        del stage["call"]
        stage["use"] = "take"
        self.graph.takes = True
        return [self.after(flow, name, items=min(count, flow.items), copies=False, drops=True)]

    def step_diamond(self, flow: Flow) -> list[Flow]:
        """Two ways from one port that a zip brings together again."""
        ways = [flow, flow]
        for side in range(2):
            for _ in range(self.number(0, 2)):
                ways[side] = self.one_to_one(ways[side])
        left, right = ways
        name = self.add(
            "combine",
            {"left": self.edge(left), "right": self.edge(right)},
            replicas=self.number(1, 3),
        )
        joined = self.after(flow, name, drops=True)
        if self.number(0, 1):
            return [joined, self.after(joined, f"{name}.unmatched", items=flow.items * 2)]
        return [joined]

    def step_zip_sources(self, flow: Flow) -> list[Flow]:
        """A zip by position with a source of its own."""
        other = self.source()
        inputs = {"left": self.edge(flow), "right": self.edge(other)}
        name = self.add("combine", inputs)
        sources = flow.sources | other.sources
        # The longer input is cut off, so what its writers send depends on arrival.
        self.graph.takes = True
        return [self.after(flow, name, drops=True, sources=sources)]

    def step_merge(self, flow: Flow) -> list[Flow]:
        """Up to three flows as they come, each with its mark."""
        others = [each for each in self.flows if each != flow][-2:]
        marked = [
            self.after(
                each,
                self.add(
                    "mark",
                    self.edge(each),
                    **{"with": {"label": label}, "replicas": self.number(1, 2)},
                ),
            )
            for label, each in enumerate([flow, *others], 1)
        ]
        inputs = [self.edge(each) for each in marked]
        name = self.add("same", inputs, replicas=self.number(1, 3))
        return [
            Flow(
                port=name,
                items=sum(each.items for each in marked),
                exact=len(marked) == 1 and flow.exact,
                drops=True,
                sources=frozenset().union(*(each.sources for each in marked)),
                letters=any(each.letters for each in marked),
                copies=True,
                scattered=any(each.scattered for each in marked),
            )
        ]

    def step_key_join(self, flow: Flow) -> list[Flow]:
        """A join by key with another flow, or the same one."""
        others = [each for each in self.flows if each.exact and each.items <= MOST_ITEMS]
        other = self.draw(st.sampled_from([*others, flow]))
        by, within = self.number(2, 40), self.draw(st.sampled_from([1, 5, 1000]))
        replicas = self.draw(st.sampled_from([1, 1, 2]))
        name = self.add(
            "combine",
            {"left": self.edge(flow), "right": self.edge(other)},
            join={"key": f"{NUMBER} % {by}", "within": within},
            replicas=replicas,
        )
        joined = Flow(
            port=name,
            items=min(flow.items, other.items),
            exact=replicas == 1,
            drops=True,
            sources=flow.sources | other.sources,
            letters=flow.letters or other.letters,
            scattered=replicas > 1,
        )
        if self.number(0, 1):
            items = flow.items + other.items
            lone = self.after(joined, f"{name}.unmatched", items=items, copies=True)
            return [joined, lone]
        return [joined]

    def steps(self, flow: Flow) -> list[Callable[[Flow], list[Flow]]]:
        """The kinds of steps that may follow a flow."""
        kinds: list[Callable[[Flow], list[Flow]]] = [
            self.step_function,
            self.step_keyed_function,
            self.step_split,
            self.step_dead_letters,
        ]
        if flow.items <= MOST_ITEMS:
            kinds += [self.step_fan, self.step_broadcast]
        if flow.exact:
            kinds += [self.step_stateful, self.step_stateful]
        if flow.exact and flow.items <= MOST_ITEMS:
            kinds += [self.step_key_join, self.step_key_join]
        if flow.exact and not flow.letters:
            kinds.append(self.step_take)
        if not flow.copies:
            kinds += [self.step_diamond, self.step_diamond]
        if not flow.drops and flow.exact:
            kinds.append(self.step_zip_sources)
        if len(self.flows) > 1:
            kinds += [self.step_merge, self.step_merge]
        return kinds

    def run(self) -> Graph:
        """Draw it."""
        self.flows = [self.source() for _ in range(self.number(1, 2))]
        for _ in range(self.number(1, 5)):
            if self.graph.workers >= MOST_WORKERS:
                break
            flow = self.draw(st.sampled_from(self.flows))
            step = self.draw(st.sampled_from(self.steps(flow)))
            # A port may have further readers: sometimes it stays open for them.
            if self.number(0, 3):
                self.flows.remove(flow)
            self.flows += step(flow)
        for number, flow in enumerate(self.flows):
            name = f"sink{number}"
            self.graph.stages[name] = {"keep": self.edge(flow), "call": "graphs:Note"}
            self.graph.exact[name] = flow.exact
            if flow.scattered:
                self.graph.scattered.add(name)
        return self.graph


@st.composite
def graphs(draw: st.DrawFn, *, many: bool = False) -> Graph:
    """Pipelines whose results do not depend on the time that anything takes.

    Args:
        many: Some of their stages get lists, or are awaited.
    """
    return Drawing(draw, many=many).run()


def by_way(
    rows: list[tuple[tuple[int, ...], int]],
) -> Mapping[tuple[int, int], list[tuple[tuple[int, ...], int]]]:
    """What a sink got, apart for each origin and each way through merges, in order."""
    ways: dict[tuple[int, int], list[tuple[tuple[int, ...], int]]] = {}
    for item, number in rows:
        ways.setdefault((item[0], number // MODULUS), []).append((item, number))
    return ways
