"""The stages of spectrogram.yaml: sound travels in shared memory, and becomes a picture."""

from __future__ import annotations

import struct
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

import pipeflow

SEED: Final = 20260801
RATE_HZ: Final = 16_000
BLOCK: Final = 32_768  # samples that are read at a time
FROM_HZ, TO_HZ = 200, 6000  # where the tone that rises begins and ends
BEEP_HZ: Final = 7000
RANGE_DB: Final = 80  # what is so much weaker than the loudest is black

Sound = npt.NDArray[np.int16]  # samples of one channel
Windows = npt.NDArray[np.float32]  # windows x samples
Levels = npt.NDArray[np.float32]  # windows x frequencies, in dB


def sound(path: Path, seconds: int) -> Iterator[Sound]:
    """Read a WAV file of one channel, block by block; where there is none, make one first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with wave.open(str(partial), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(made_up(seconds).tobytes())
        partial.replace(path)
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path} is not of one channel with 16 bits a sample")
        while block := file.readframes(BLOCK):
            yield np.frombuffer(block, "<i2")


def made_up(seconds: int) -> Sound:
    """Make up a sound, always the same: a tone that rises, a beep each second, and some noise."""
    at_s = np.arange(seconds * RATE_HZ) / RATE_HZ
    steepness = (TO_HZ - FROM_HZ) / seconds
    rising = np.sin(2 * np.pi * (FROM_HZ + steepness * at_s / 2) * at_s)
    beeps = np.sin(2 * np.pi * BEEP_HZ * at_s) * (at_s % 1 < 0.1)
    noise = np.random.default_rng(SEED).normal(0, 0.02, len(at_s))
    samples: Sound = (8000 * (rising + beeps + noise)).astype("<i2")
    return samples


@pipeflow.stream
def windows(blocks: Iterator[Sound], size: int, step: int, many: int) -> Iterator[Windows]:
    """Cut a sound in windows that overlap, ``many`` of them to a matrix."""
    held: Sound = np.empty(0, np.int16)
    length = size + (many - 1) * step  # that so many windows cover
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= length:
            yield matrix(held[:length], size, step)
            held = held[many * step :]
    if len(held) >= size:
        yield matrix(held, size, step)


def matrix(samples: Sound, size: int, step: int) -> Windows:
    """Put all windows of some samples under each other, in shared memory from the start."""
    cut = np.lib.stride_tricks.sliding_window_view(samples, size)[::step]
    result = pipeflow.empty(cut.shape, np.float32)
    np.multiply(cut, np.hanning(size).astype(np.float32), out=result)
    return result


def levels(windows: Windows) -> Levels:
    """Tell how loud each frequency is in each window."""
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    result = pipeflow.empty(power.shape, np.float32)
    np.multiply(10, np.log10(power + 1), out=result)
    return result


class Picture:
    """Collects levels; writes them as a picture at the end: time to the right, pitch upwards."""

    def __init__(self, path: Path) -> None:
        """The picture goes to ``path``."""
        self.path = path
        self.parts: list[Levels] = []

    def __call__(self, levels: Levels) -> None:
        """Hold the levels: they stay where they are, and are valid as long as they are held."""
        self.parts.append(levels)

    def finish(self) -> Iterator[str]:
        """Write the picture, and tell where it is."""
        levels = np.vstack(self.parts).T[::-1]
        brightness = np.clip((levels - levels.max()) / RANGE_DB + 1, 0, 1)
        picture = np.rint(255 * brightness).astype(np.uint8)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_bytes(png(picture))
        partial.replace(self.path)
        height, width = picture.shape
        yield f"{width} windows of {height} frequencies on {self.path}"


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """Pack a grey picture as PNG: https://www.w3.org/TR/png/."""
    height, width = picture.shape
    rows = np.pad(picture, ((0, 0), (1, 0)))  # before each row the number of its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
