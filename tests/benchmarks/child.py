"""One baseline, once, in a fresh Python: ``python -m tests.benchmarks.child TARGET JOB JSON``."""

from __future__ import annotations

import importlib
import json
import sys

from tests.benchmarks import jobs
from tests.benchmarks.model import NotAvailable
from tests.benchmarks.programs import MISSING


def main(target: str, job: str, arguments: str) -> int:
    """Build the job, hand it to the target."""
    module, _, function = target.partition(":")
    made = getattr(jobs, job)(**json.loads(arguments))
    try:
        getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)(made)
    except NotAvailable as missing:
        print(missing, file=sys.stderr)
        return MISSING
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
