"""What features.yaml writes is what numpy finds in all recordings at once."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Example

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        find_spec("pyarrow") is None,
        reason="PYARROW IS NOT INSTALLED, so features.yaml IS NOT TESTED: pip install '.[parquet]'",
    ),
]


def test_features_are_those_of_all_recordings_at_once(example: Example) -> None:
    from pyarrow import parquet

    folder = example("features", "local").folder / "out"
    recordings = parquet.read_table(folder / "recordings.parquet")
    samples = np.array(recordings["samples"].to_pylist(), np.float32)
    peak, rms = abs(samples).max(axis=1), np.sqrt((samples.astype(float) ** 2).mean(axis=1))

    features = parquet.read_table(folder / "features.parquet")

    assert features["recording"].to_pylist() == list(range(12_000))
    assert features["machine"].equals(recordings["machine"])
    assert np.array_equal(features["peak"], peak)
    assert np.allclose(features["rms"], rms, rtol=1e-5)
    assert np.allclose(features["crest"], peak / rms, rtol=1e-5)
    whole = np.array(features["machine"]) != 7  # knocks drown its hum
    hum_hz = 100 + 25 * np.array(features["machine"])
    assert np.all(abs(np.array(features["pitch_hz"]) - hum_hz)[whole] <= 6400 / 256)


def test_the_machine_that_knocks_is_found(example: Example) -> None:
    run = example("features", "local")

    _, _, *machines = run.stdout.splitlines()
    assert [line.split()[:2] for line in machines] == [["7", "1000"]]


def test_tables_travel_in_shared_memory(example: Example) -> None:
    edge = example("features", "local").edge("features")

    assert edge["sent"] == 12
    assert edge["bytes_shared"] >= 12_000 * 256 * 4
    # Columns of 8 bytes a row are too small to be worth sharing.
    assert edge["bytes_copied"] < 0.1 * edge["bytes_shared"]


def test_features_are_the_same_in_one_process(example: Example) -> None:
    local, inline = example("features", "local"), example("features", "inline")

    assert local.stdout == inline.stdout
    files = [(run.folder / "out/features.parquet").read_bytes() for run in (local, inline)]
    assert files[0] == files[1]
