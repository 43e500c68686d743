"""What the tests of operators share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stages.sites import Site, served


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site
