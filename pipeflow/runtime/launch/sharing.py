"""What the workers of a plan may share, and who of them may not. Reads sources, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.runtime.launch.environment import THREAD_VARIABLES
from pipeflow.runtime.launch.imports import Import, StageImports, modules_beside, stage_imports
from pipeflow.runtime.launch.messages import Preload
from pipeflow.values import dataclass, field

#: A library that starts no thread when it is loaded leaves a process that may be forked.
_ONE_THREAD: Final = dict.fromkeys(THREAD_VARIABLES, "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What is imported before the workers are forked.

    Attributes:
        preload: For the launch server; ``None``: nothing is worth it, or it cannot be done safely.
        apart: Numbers of the processes that get their own interpreter if something is shared.
        with_threads: Numbers of the others that may use more than one thread.
    """

    preload: Preload | None = None
    apart: frozenset[int] = field(default_factory=frozenset)
    with_threads: frozenset[int] = field(default_factory=frozenset)


def plan_sharing(plan: Plan, search_path: Sequence[str]) -> Sharing:
    """Decide what the workers share.

    A stage that says something of its own about its environment or its place in the machine may
    change what a package does when it is imported: it gets an interpreter of its own.
    """
    modules = {stage.index: stage.call.partition(":")[0] for stage in plan.stages if stage.call}
    # Stages of one module are the rule, and reading it takes a while.
    by_module = {
        module: stage_imports(module, plan.folder, search_path)
        for module in dict.fromkeys(modules.values())
    }
    read = {index: by_module[module] for index, module in modules.items()}
    apart = {
        stage.index
        for stage in plan.stages
        if _is_apart(stage) or not read.get(stage.index, StageImports()).settled
    }
    imports = _imports(read, apart)
    # Of several workers in one process (``--fuse``) each imports what it needs into it.
    alone = frozenset(worker.process for worker in plan.workers if worker.stage in apart)
    # An interpreter for each of those costs about what the others save.
    if not imports or 2 * len(alone) > len({worker.process for worker in plan.workers}):
        return Sharing()
    shared = [stage for stage in plan.stages if stage.index not in apart]
    many = {stage.index for stage in shared if stage.threads > 1}
    return Sharing(
        preload=Preload(
            imports=imports, env=_ONE_THREAD, beside=frozenset(modules_beside(plan.folder))
        ),
        apart=alone,
        with_threads=frozenset(each.process for each in plan.workers if each.stage in many),
    )


def _is_apart(stage: StagePlan) -> bool:
    return bool(stage.env or stage.gpus or stage.cpus or stage.memory is not None)


def _imports(read: Mapping[int, StageImports], apart: set[int]) -> tuple[Import, ...]:
    shared = [each for number, each in read.items() if number not in apart]
    packages = [one for each in shared for one in each.packages]
    standard = [one for each in shared for one in each.standard]
    if not packages and apart:
        # Not worth an interpreter for each of those that stand apart.
        return ()
    return tuple(dict.fromkeys([*standard, *packages]))
