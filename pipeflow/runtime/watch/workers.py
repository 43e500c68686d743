"""All workers of a run as the supervisor knows them, by their numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pipeflow.planner.plan import Plan
from pipeflow.runtime.watch.lifecycle import Happening, Life
from pipeflow.runtime.watch.watched import Watched


class Workers(Mapping[int, Watched]):
    """What is known of each worker, from before its start to behind its end.

    Args:
        plan: What runs.
    """

    def __init__(self, plan: Plan) -> None:
        self._by_number = {
            worker.index: Watched(
                plan=worker,
                stage=plan.stages[worker.stage].name,
                alone=len(plan.sharing(worker.index)) == 1,
                isolated=plan.stages[worker.stage].isolated,
                is_source=not plan.stages[worker.stage].edges_in,
            )
            for worker in plan.workers
        }

    def __getitem__(self, number: int) -> Watched:
        return self._by_number[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_number)

    def __len__(self) -> int:
        return len(self._by_number)

    def never_start(self) -> None:
        """The run fails before any of them is started."""
        for watched in self._by_number.values():
            watched.see(Happening.STOP)
            watched.see(Happening.EXITED)

    @property
    def all_ended(self) -> bool:
        """Whether no process is left of any of them."""
        return all(watched.ended for watched in self._by_number.values())

    def alive(self, *, but: Collection[int] = ()) -> list[Watched]:
        """Those whose process is still there, but for some numbers."""
        return [
            watched
            for number, watched in self._by_number.items()
            if not watched.ended and number not in but
        ]

    def alive_numbers(self) -> list[int]:
        """The numbers of those whose process is still there."""
        return [watched.plan.index for watched in self.alive()]

    def sources_at_work(self) -> list[Watched]:
        """The sources that are not done yet, and were not told to end."""
        return [watched for watched in self.alive() if watched.is_source and watched.at_work]

    def stage_is_over(self, stage: int) -> bool:
        """Whether all workers of a stage are done, or were ended as nobody needed them."""
        mates = [each for each in self._by_number.values() if each.plan.stage == stage]
        return all(mate.life is Life.DONE or (mate.excused and mate.ended) for mate in mates)
