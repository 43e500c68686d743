"""The stages of pipeline.yaml: pictures as numpy arrays, in the simplest of all formats (PGM).

For JPEG or PNG let ``decode`` and ``save`` call Pillow; arrays cross from stage to stage uncopied.
"""

from pathlib import Path
from typing import Any

import numpy as np

Picture = dict[str, Any]


def decode(file: Path) -> Picture:
    """Read a picture: its name, and its pixels as rows of bytes."""
    path = Path(file)
    parts = path.read_bytes().split(b"\n", 3)
    if len(parts) < 4 or parts[0] != b"P5":
        raise ValueError(f"{path.name} is no picture in the format PGM")
    width, height = map(int, parts[1].split())
    return {"name": path.name, "pixels": np.frombuffer(parts[3], np.uint8).reshape(height, width)}


def shrink(picture: Picture, width: int) -> Picture:
    """Make a picture so many pixels wide, by taking every n-th of them."""
    pixels = picture["pixels"]
    height = max(1, pixels.shape[0] * width // pixels.shape[1])
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    return {**picture, "pixels": pixels[np.ix_(rows, columns)]}


def save(picture: Picture, folder: Path) -> None:
    """Write a picture into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = picture["pixels"].shape
    head = f"P5\n{width} {height}\n255\n".encode()
    (folder / picture["name"]).write_bytes(head + picture["pixels"].tobytes())
