"""Images with two coloured shapes, and a caption that names them from left to right: ``red disc , green star``.

Drawn from a seed. An image has 3×3 regions of 16×16 pixels; the two shapes stand in different columns.
"""

from typing import NamedTuple

import numpy as np

from course_lib.datasets.coloured_shapes import CLASSES, INSIDE

COLOURS = {
    "red": (0.85, 0.15, 0.15), "green": (0.15, 0.65, 0.2), "blue": (0.2, 0.35, 0.9), "yellow": (0.95, 0.85, 0.2),
    "pink": (0.95, 0.55, 0.75), "white": (0.97, 0.97, 0.97),
}  # fmt: skip
SHAPES = ("disc", "ring", "heart", "square", "star")
PAD, BOS, EOS = 0, 1, 2
WORDS = ("<pad>", "<bos>", "<eos>", ",", *COLOURS, *SHAPES)
REGIONS, SIDE = 3, 16  # regions in a row, pixels of a region


class Scenes(NamedTuple):
    """``images``: (N, 3, 48, 48) float32, 0..1. ``captions``: (N, 7) int64, from ``<bos>`` to ``<eos>``."""

    images: np.ndarray
    captions: np.ndarray


def scenes(n, seed=0):
    """Draw ``n`` images with their captions.

    Parameters
    ----------
    n, seed : int

    Returns
    -------
    Scenes
    """
    rng = np.random.default_rng([seed, 1212])
    images = rng.uniform(0.05, 0.35, size=(n, 3, 1, 1)) + rng.normal(size=(n, 3, 48, 48)) * 0.03
    captions = np.empty((n, 7), np.int64)
    centre = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1  # -1 to 1 over a region
    for image, caption in zip(images, captions, strict=True):
        columns, rows = np.sort(rng.choice(REGIONS, 2, replace=False)), rng.integers(REGIONS, size=2)
        words = []
        for column, row in zip(columns, rows, strict=True):
            colour, shape = rng.choice(list(COLOURS)), rng.choice(SHAPES)
            angle, radius = rng.uniform(-0.5, 0.5), rng.uniform(0.75, 0.95)
            x, y = np.meshgrid(centre / radius, centre / radius)
            u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
            cover = np.clip(0.5 - INSIDE[CLASSES.index(shape)](u, v) * radius * SIDE / 2, 0, 1)
            part = image[:, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            tint = np.array(COLOURS[colour])[:, None, None] * rng.uniform(0.85, 1)
            part += (tint - part) * cover
            words += [colour, shape, ","]
        caption[:] = [BOS, *(WORDS.index(word) for word in words[:-1]), EOS]
    return Scenes(np.clip(images, 0, 1).astype(np.float32), captions)


def decode(tokens):
    """The words of a caption, up to ``<eos>``."""
    words = []
    for token in tokens:
        if token == EOS:
            break
        words += [WORDS[token]] if token > EOS else []
    return " ".join(words)
