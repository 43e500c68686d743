"""``defaults``: what holds for every stage that says nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.config.cursor import Cursor
from pipeflow.config.stage.edges import EdgeSettings, edge_settings
from pipeflow.config.stage.on_error import place_of_policy, read_policy
from pipeflow.config.stage.replicas import read_replicas
from pipeflow.config.stage.resources import read_env, read_resources
from pipeflow.config.stage.timeout import read_timeout
from pipeflow.errors import Location
from pipeflow.spec.policies import ErrorPolicy, Resources
from pipeflow.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDefaults:
    """``defaults``, read.

    Attributes:
        replicas: Given there, or not; ``None`` inside the pair is ``auto``.
        replicas_at: Where it stands.
        on_error: Given there, or ``None``.
        on_error_at: Where it stands.
        timeout_s: Given there, or ``None``.
        resources: Merged into those of each stage.
        env: Merged into that of each stage.
        edge: Settings of every edge that has none of its own.
    """

    replicas: int | None = 1
    replicas_at: Location | None = None
    on_error: ErrorPolicy | None = None
    on_error_at: Location | None = None
    timeout_s: float | None = None
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    edge: EdgeSettings = field(default_factory=EdgeSettings)


def read_defaults(cursor: Cursor | None) -> StageDefaults:
    """Read ``defaults``."""
    if cursor is None:
        return StageDefaults()
    replicas = cursor.get("replicas")
    return StageDefaults(
        replicas=read_replicas(replicas),
        replicas_at=replicas.at if replicas else None,
        on_error=read_policy(cursor),
        on_error_at=place_of_policy(cursor),
        timeout_s=read_timeout(cursor),
        resources=read_resources(cursor.inner("resources"), Resources()),
        env=read_env(cursor.inner("env")),
        edge=edge_settings(cursor.inner("edge"), EdgeSettings()),
    )
