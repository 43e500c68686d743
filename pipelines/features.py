"""The stages of features.yaml: vibrations of machines in a Parquet file, and what marks them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

SEED: Final = 20260801
RATE_HZ: Final = 6400
SAMPLES: Final = 256  # in one recording
MACHINES: Final = 12
FAULTY: Final = 7  # the machine whose bearing knocks

Samples = npt.NDArray[np.float32]  # recordings x samples, in units of g


def recordings(path: Path, rows: int, batch: int) -> Iterator[pa.Table]:
    """Read a file in tables of ``batch`` rows; where there is none, make one up first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        pq.write_table(made_up(rows), partial)
        partial.replace(path)
    with pq.ParquetFile(path) as file:
        for piece in file.iter_batches(batch_size=batch):
            yield pa.Table.from_batches([piece])


def made_up(rows: int) -> pa.Table:
    """Make up recordings, always the same: each machine hums, and one of them knocks too."""
    chance = np.random.default_rng(SEED)
    machine = np.arange(rows) % MACHINES
    hum_hz = (100 + 25 * machine)[:, None]
    at_s = np.arange(SAMPLES) / RATE_HZ
    samples = np.sin(2 * np.pi * hum_hz * at_s + chance.uniform(0, 2 * np.pi, (rows, 1)))
    samples += chance.normal(0, 0.1, samples.shape)
    knocks = np.flatnonzero(machine == FAULTY)
    samples[knocks, chance.integers(0, SAMPLES, len(knocks))] += 9
    values = pa.array(samples.astype(np.float32).ravel())
    return pa.table(
        {
            "recording": np.arange(rows),
            "machine": machine,
            "samples": pa.FixedSizeListArray.from_arrays(values, SAMPLES),
        }
    )


def features(table: pa.Table) -> pa.Table:
    """Work out what marks each recording of a table, all rows at a time."""
    samples = matrix(table["samples"])
    energy = np.sqrt(np.mean(samples**2, axis=1))
    peak = np.abs(samples).max(axis=1)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(SAMPLES), axis=1))
    return pa.table(
        {
            "recording": table["recording"],
            "machine": table["machine"],
            "rms": energy,
            "peak": peak,
            "crest": peak / energy,  # a hum has 1.4, knocks have more
            "pitch_hz": spectrum.argmax(axis=1) * (RATE_HZ / SAMPLES),
        }
    )


def matrix(column: Any) -> Samples:
    """See a column of lists as a matrix: the bytes stay where they are, in shared memory."""
    (chunk,) = column.chunks
    rows: Samples = chunk.flatten().to_numpy(zero_copy_only=True)
    return rows.reshape(-1, SAMPLES)
