"""The picture of spectrogram.yaml shows the tones that are in the sound."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

if TYPE_CHECKING:
    from tests.examples.conftest import Example

pytestmark = pytest.mark.processes

HZ_PER_ROW = 16_000 / 1024


def pixels(file: Path) -> npt.NDArray[np.uint8]:
    """Unpack a grey picture of 8 bits without filters, lowest frequency first."""
    data = file.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert int.from_bytes(data[at + 8 + length : at + 12 + length], "big") == zlib.crc32(
            kind + body
        )
        chunks[kind] = body
        at += 12 + length
    width, height = np.frombuffer(chunks[b"IHDR"][:8], ">u4")
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[::-1, 1:]


def test_the_tone_rises_across_the_picture(example: Example) -> None:
    picture = pixels(example("spectrogram", "local").folder / "out/spectrogram.png")

    assert picture.shape == (513, 1874)  # a minute in windows of 1024, one each 512
    middle_s = (np.arange(1874) * 512 + 512) / 16_000
    rising_hz = 200 + (6000 - 200) / 60 * middle_s
    loudest_hz = picture[:430].argmax(axis=0) * HZ_PER_ROW  # below the beeps
    assert np.all(abs(loudest_hz - rising_hz) <= 2 * HZ_PER_ROW)


def test_there_is_a_beep_each_second(example: Example) -> None:
    picture = pixels(example("spectrogram", "local").folder / "out/spectrogram.png")

    beeps = picture[round(7000 / HZ_PER_ROW)] > 200
    assert np.count_nonzero(np.diff(beeps.astype(int)) == 1) + int(beeps[0]) == 60


def test_windows_and_levels_travel_in_shared_memory(example: Example) -> None:
    run = example("spectrogram", "local")

    for to in ("levels", "picture"):
        edge = run.edge(to)
        assert edge["bytes_shared"] >= 1874 * 513 * 4
        assert edge["bytes_copied"] < 0.01 * edge["bytes_shared"]


def test_the_picture_is_the_same_in_one_process(example: Example) -> None:
    local, inline = example("spectrogram", "local"), example("spectrogram", "inline")

    assert local.stdout == inline.stdout
    files = [(run.folder / "out/spectrogram.png").read_bytes() for run in (local, inline)]
    assert files[0] == files[1]
