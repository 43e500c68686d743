"""The stages of photos.yaml: frames are numpy arrays, and travel in shared memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

import pipeflow

Photo = npt.NDArray[np.uint8]  # rows x columns x (red, green, blue)
Edges = npt.NDArray[np.float32]  # rows x columns, 0 to 1

#: The photographs in scikit-image's package (most other pictures in it are drawings).
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "page.png"),
    *("motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
)


def find() -> Iterator[Path]:
    """Find the photographs that came with scikit-image; nothing is downloaded."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("scikit-image is not installed: pip install '.[examples]'")
    folder = Path(package.submodule_search_locations[0], "data")
    yield from (folder / name for name in PHOTOGRAPHS)


def decode(file: Path) -> Photo:
    """Read a photograph as it is, grey ones in colour too."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def resize(photo: Photo, size: int) -> Photo:
    """Cut the middle square out, and shrink or stretch it to ``size`` pixels a side."""
    return np.asarray(ImageOps.fit(Image.fromarray(photo), (size, size)))


def edges(photo: Photo) -> Edges:
    """Show how steeply the brightness changes at each point."""
    brightness = photo.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    down, right = np.gradient(brightness)
    steepness = pipeflow.empty(brightness.shape, np.float32)  # in shared memory from the start
    np.hypot(down, right, out=steepness)
    steepness /= max(float(steepness.max()), 1.0)
    return steepness


class ContactSheet:
    """Collects pairs of a photo and its edges; writes them as one picture at the end."""

    def __init__(self, path: Path, columns: int = 4) -> None:
        """Fill ``columns`` pairs a row; the picture goes to ``path``."""
        self.path = path
        self.columns = columns
        self.pairs: list[npt.NDArray[Any]] = []

    def __call__(self, photo: Photo, edges: Edges) -> None:
        """Put a photo beside its edges, in white on black."""
        drawing = np.repeat((255 * np.sqrt(edges)).astype(np.uint8)[..., None], 3, axis=2)
        self.pairs.append(np.hstack([photo, drawing]))

    def finish(self) -> Iterator[str]:
        """Write the sheet, and tell where it is."""
        blank = np.zeros_like(self.pairs[0])
        padded = self.pairs + [blank] * (-len(self.pairs) % self.columns)
        rows = [
            np.hstack(padded[at : at + self.columns]) for at in range(0, len(padded), self.columns)
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        Image.fromarray(np.vstack(rows)).save(partial, format="PNG")
        partial.replace(self.path)
        yield f"{len(self.pairs)} photographs on {self.path}"
