"""The same stages, in a module that fails while it is imported."""

from faulty import (  # type: ignore[import-not-found]  # beside the pipeline file in a run
    ROLE,
    Middle,
    Plain,
    PlainSink,
    Replica,
    Sink,
    Source,
    at,
)

__all__ = ["Middle", "Plain", "PlainSink", "Replica", "Sink", "Source"]

at("import", ROLE)
