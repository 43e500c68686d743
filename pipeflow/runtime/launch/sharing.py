"""What the workers of a plan may share, and who of them may not. Reads sources, runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.runtime.late import late_modules
from pipeflow.runtime.launch.environment import THREAD_VARIABLES
from pipeflow.runtime.launch.imports import Import, ImportsOf, StageImports, modules_beside
from pipeflow.runtime.launch.messages import Preload
from pipeflow.spec.pipeline import Call, Pipeline, Stage, Use
from pipeflow.spec.policies import ByKey, KeyedInputs
from pipeflow.values import dataclass, field

#: Most processes for each core where all of them get interpreters of their own.
PROCESSES_A_CORE: Final = 2

#: A library that starts no thread when it is loaded leaves a process that may be forked.
_ONE_THREAD: Final = dict.fromkeys(THREAD_VARIABLES, "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What is imported before the workers are forked.

    Attributes:
        preload: For the launch server; ``None``: nothing is worth it, or it cannot be done safely.
        apart: Numbers of the processes that get their own interpreter.
        with_threads: Numbers of the others that may use more than one thread.
    """

    preload: Preload | None = None
    apart: frozenset[int] = field(default_factory=frozenset)
    with_threads: frozenset[int] = field(default_factory=frozenset)


def expected_preload(
    pipeline: Pipeline, imports_of: ImportsOf, *, must_share: bool = False
) -> Preload | None:
    """What the workers will share, as far as that can be told before there is a plan.

    ``None``: the plan must tell. That takes a while, in which the imports could be under way.

    Args:
        pipeline: What will be planned.
        imports_of: What the modules of its stages import.
        must_share: See ``plan_sharing``.
    """
    stages = [stage for stage in pipeline.stages if stage.enabled]
    if any(_will_be_apart(stage) or stage.inner is not None for stage in stages):
        return None
    read = [imports_of(stage.work.module) for stage in stages if isinstance(stage.work, Call)]
    if not all(each.settled for each in read):
        return None
    may_burn = not must_share and any(map(_may_burn, stages))
    if may_burn and not any(each.packages for each in read):
        return None
    return _preload(_imports(read, all_share=True), [pipeline.folder])


def expected_modules(pipeline: Pipeline) -> tuple[str, ...]:
    """What of ours the workers will need that only some pipelines need; see ``late``."""
    stages = [stage for stage in pipeline.stages if stage.enabled]
    return late_modules(
        operators=any(isinstance(stage.work, Use) for stage in stages),
        keys=any(
            isinstance(stage.partition, ByKey) or isinstance(stage.join, KeyedInputs)
            for stage in stages
        ),
    )


def plan_sharing(plan: Plan, imports_of: ImportsOf, *, must_share: bool = False) -> Sharing:
    """Decide what the workers share.

    A stage that says something of its own about its environment or its place in the machine may
    change what a package does when it is imported: it gets an interpreter of its own. So do all
    where replicas are to fill the cores with pure Python (``_burns``), and no package is shared.

    Args:
        plan: Of the run.
        imports_of: What the modules of its stages import.
        must_share: Somebody has asked for forked workers: speed is no reason for others.
    """
    read = {
        stage.index: imports_of(stage.call.partition(":")[0], plan.folder_of(stage))
        for stage in plan.stages
        if stage.call
    }
    apart = {
        stage.index
        for stage in plan.stages
        if _is_apart(stage) or not read.get(stage.index, StageImports()).settled
    }
    if not must_share and _burns(plan) and not any(each.packages for each in read.values()):
        return Sharing(apart=frozenset(worker.process for worker in plan.workers))
    shared_ones = [each for number, each in read.items() if number not in apart]
    preload = _preload(_imports(shared_ones, all_share=not apart), plan.folders)
    # Of several workers in one process (``--fuse``) each imports what it needs into it.
    alone = frozenset(worker.process for worker in plan.workers if worker.stage in apart)
    # An interpreter for each of those costs about what the others save.
    if preload is None or 2 * len(alone) > len({worker.process for worker in plan.workers}):
        return Sharing()
    shared = [stage for stage in plan.stages if stage.index not in apart]
    many = {stage.index for stage in shared if stage.threads > 1}
    return Sharing(
        preload=preload,
        apart=alone,
        with_threads=frozenset(each.process for each in plan.workers if each.stage in many),
    )


def _is_apart(stage: StagePlan) -> bool:
    return bool(stage.env or stage.gpus or stage.cpus or stage.memory is not None)


def _will_be_apart(stage: Stage) -> bool:
    own = stage.resources
    return bool(stage.env or own.gpus or own.cpus or own.memory is not None)


def _burns(plan: Plan) -> bool:
    """Whether replicas of a stage can fill cores, and there are few enough processes.

    Forked processes have the same code at the same addresses. Where several of them are busy, pure
    Python takes some processors 6 to 10 % longer in each than in programs of their own, which lie
    at random addresses (measured on Zen 5; without that randomness programs are as slow). To start
    one takes some 60 ms of a core: what is gained in a second of work. Where items are small, so
    that processes take turns often, forked ones are the faster by 2 to 8 %; but who wants replicas
    has items that take long, as a rule.
    """
    fills = any(stage.call and 1 < stage.replicas <= plan.cores for stage in plan.stages)
    return fills and plan.processes <= PROCESSES_A_CORE * plan.cores


def _may_burn(stage: Stage) -> bool:
    """Whether that can be said of a stage before there is a plan."""
    return isinstance(stage.work, Call) and stage.replicas != 1


def _imports(read: Iterable[StageImports], *, all_share: bool) -> tuple[Import, ...]:
    read = tuple(read)
    packages = [one for each in read for one in each.packages]
    standard = [one for each in read for one in each.standard]
    if not packages and not all_share:
        # Not worth an interpreter for each of those that stand apart.
        return ()
    return tuple(dict.fromkeys([*standard, *packages]))


def _preload(imports: tuple[Import, ...], folders: Sequence[str]) -> Preload | None:
    if not imports:
        return None
    beside = frozenset(name for folder in folders for name in modules_beside(folder))
    return Preload(imports=imports, env=_ONE_THREAD, beside=beside)
