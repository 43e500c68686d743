"""``resources`` and ``env``: what the processes of a stage may use, and what they find set."""

from __future__ import annotations

from pipeflow.config.cursor import Cursor
from pipeflow.config.nodes import Scalar, Seq
from pipeflow.spec.policies import Resources


def read_resources(cursor: Cursor | None, default: Resources) -> Resources:
    """What may be used; what is not said is taken from ``default``."""
    if cursor is None:
        return default
    threads, memory = cursor.integer("threads"), cursor.size("memory")
    return Resources(
        cpus=_numbers(cursor, "cpus") or default.cpus,
        threads=default.threads if threads is None else threads,
        memory=default.memory if memory is None else memory,
        gpus=_numbers(cursor, "gpus") or default.gpus,
        spin=cursor.boolean("spin", default=default.spin),
    )


def read_env(cursor: Cursor | None) -> dict[str, str]:
    """Values as they are spelled: ``1e3`` stays ``1e3``."""
    if cursor is None:
        return {}
    return {
        entry.key: entry.value.text or str(entry.value.value)
        for entry in cursor.entries()
        if isinstance(entry.value, Scalar)
    }


def _numbers(cursor: Cursor, key: str) -> tuple[int, ...]:
    node = cursor.get(key)
    items = node.items if isinstance(node, Seq) else ()
    return tuple(
        int(item.value)
        for item in items
        if isinstance(item, Scalar) and isinstance(item.value, int | float)
    )
