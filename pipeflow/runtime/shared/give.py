"""What one process of a run needs to give its stages their shared state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeflow.planner.plan import Plan
from pipeflow.runtime.brief import WorkerBrief
from pipeflow.runtime.shared.client import ManagerLink
from pipeflow.runtime.shared.locks import FileClaim, Stages
from pipeflow.runtime.shared.memory import StateMemory
from pipeflow.stages.context import StageContext
from pipeflow.stages.shared_lock import Hold, Mutex
from pipeflow.stages.shared_state import SharedState, make_state, with_state


class ProcessShares:
    """All state that the stages of this process share with others.

    Args:
        briefs: What the workers in it are told.
    """

    def __init__(self, briefs: Sequence[WorkerBrief]) -> None:
        plan: Plan = briefs[0].plan
        handles = next((brief.shared for brief in briefs if brief.shared is not None), None)
        self._stages = Stages(
            workers={
                plan.stages[plan.workers[brief.worker].stage].name: brief.worker for brief in briefs
            }
        )
        self._all = {each.name: (number, each) for number, each in enumerate(plan.shared)}
        self._mutexes: dict[str, Mutex] = {}
        if handles is None:
            return
        self._memory = StateMemory(handles.memory, plan.shared, len(plan.workers))
        for worker in self._stages.workers.values():
            self._memory.waits[worker] = 0  # what ran its code before us may have died in a wait
        words = (self._memory.holders, self._memory.waits)
        self._link = ManagerLink(handles.door)
        for name, (number, _) in self._all.items():
            claim = FileClaim(name, handles.locks, number, words, self._stages)
            self._mutexes[name] = Mutex(name, claim)

    def fill(self, parameters: Mapping[str, object], context: StageContext) -> Mapping[str, object]:
        """The values under ``with`` of one stage, with its objects in them."""
        self._stages.log[context.stage] = context.log
        return with_state(parameters, lambda name: self._give(name, context.stage))

    def _give(self, name: str, stage: str) -> SharedState:
        number, shared = self._all[name]
        hold = Hold(self._mutexes[name], stage)
        return make_state(shared, number, hold, memory=self._memory.states[number], link=self._link)
