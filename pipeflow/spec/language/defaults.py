"""``defaults``: settings for every stage that has none of its own."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language import settings
from pipeflow.spec.language.edge import EDGE_DEFAULTS
from pipeflow.spec.language.on_error import ERROR_POLICY
from pipeflow.spec.language.resources import RESOURCES
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

DEFAULTS: Final = Table(
    name="defaults",
    title="defaults",
    options=(
        settings.REPLICAS,
        settings.ON_ERROR,
        settings.TIMEOUT,
        settings.RESOURCES,
        settings.ENV,
        Option(
            name="edge",
            types=(OptionType.MAPPING,),
            default=None,
            description="Settings for every edge that has none of its own.",
            examples=({"capacity": 64},),
        ),
    ),
    within={"on_error": ERROR_POLICY, "resources": RESOURCES, "edge": EDGE_DEFAULTS},
)
