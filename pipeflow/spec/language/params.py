"""``params``: values that the command line changes."""

from __future__ import annotations

from typing import Final

from pipeflow.spec.language.names import DESCRIPTION
from pipeflow.spec.options import Option, OptionType
from pipeflow.spec.table import Table

PARAM_TYPES: Final = (
    "string",
    "integer",
    "number",
    "boolean",
    "path",
    "duration",
    "size",
    "list",
)

PARAM: Final = Table(
    name="param",
    title="a parameter",
    options=(
        Option(
            name="type",
            types=(OptionType.STRING,),
            default="string",
            choices=PARAM_TYPES,
            choice_docs=(
                "Text.",
                "A whole number.",
                "A number.",
                "`true` or `false`.",
                "A path; a relative one means the folder where the command was started.",
                "A time with its unit: `50ms`, `2s`, `5m`, `1h`.",
                "A number of bytes with its unit: `64KiB`, `4GB`.",
                "A list; on the command line its entries stand between commas.",
            ),
            description="What kind of value it is; that of `default` when left out.",
        ),
        Option(
            name="default",
            types=(OptionType.ANY,),
            default=None,
            description="Its value when `--param` gives none; without one it must be given.",
        ),
        DESCRIPTION,
        Option(
            name="enum",
            types=(OptionType.LIST,),
            default=None,
            description="The only values allowed.",
            examples=(["fast", "exact"],),
        ),
        Option(
            name="minimum",
            types=(OptionType.NUMBER, OptionType.STRING),
            default=None,
            description="Least value allowed.",
        ),
        Option(
            name="maximum",
            types=(OptionType.NUMBER, OptionType.STRING),
            default=None,
            description="Greatest value allowed.",
        ),
        Option(
            name="secret",
            types=(OptionType.BOOLEAN,),
            default=False,
            description="Whether it is shown as `***` everywhere.",
        ),
    ),
)
