"""Pairs of images, one to start from and one to arrive at: scenes and their drawings, photographs and their greys.

All are ``uint8``, channels first, white is 255, in three splits: train on the first, choose on the second, read the
third once.
"""

from typing import NamedTuple

import numpy as np

from course_lib.datasets import photographs, scenes


class Pairs(NamedTuple):
    """What is given, ``x`` of shape ``(N, 1, 64, 64)``, and what is wanted, ``y`` of shape ``(N, 3, 64, 64)``."""

    x: np.ndarray
    y: np.ndarray

    def take(self, n):
        """The first ``n`` pairs. (The order is random, so they are a fair sample.)"""
        return Pairs(self.x[:n], self.y[:n])


class PairedDataset(NamedTuple):
    """Pairs in three splits."""

    name: str
    train: Pairs
    validation: Pairs
    test: Pairs

    def __repr__(self):
        sizes = ", ".join(f"{len(getattr(self, part).x):,} {part}" for part in ("train", "validation", "test"))
        x, y = ("×".join(map(str, images.shape[1:])) for images in self.train)
        return f"<{self.name}: {sizes}; from {x} to {y}, 0..255>"


def coloured_scenes(n_train=2000, n_validation=100, n_test=200, seed=0):
    """Little landscapes with their line drawings (:mod:`course_lib.datasets.scenes`).

    The three splits come from separate random streams: asking for more training images changes no test image.

    Returns
    -------
    PairedDataset
    """
    splits = []
    for stream, n in enumerate((n_train, n_validation, n_test)):
        drawn = scenes.draw(n, np.random.default_rng([seed, stream]))
        splits.append(Pairs(drawn.drawing, drawn.colour))
    return PairedDataset("scenes", *splits)


def coloured_photographs(n_train=1000, n_validation=100, n_test=200, size=64, seed=0):
    """Patches of scikit-learn's two photographs with their grey versions.

    Patches overlap, so the photographs themselves are cut: the left 60 % of each is for training, then 15 % for
    validation, and the right 25 % for the test. Half of the patches come from each photograph, some mirrored.

    Returns
    -------
    PairedDataset
    """
    splits, borders = [], (0.0, 0.6, 0.75, 1.0)
    for stream, n in enumerate((n_train, n_validation, n_test)):
        rng = np.random.default_rng([seed, stream])
        colour = np.empty((n, size, size, 3), np.uint8)
        for k, photo in zip(range(n), _forever(photographs().values()), strict=False):
            H, W, _ = photo.shape
            left, right = int(borders[stream] * W), int(borders[stream + 1] * W)
            i, j = rng.integers(0, H - size + 1), rng.integers(left, right - size + 1)
            colour[k] = photo[i : i + size, j : j + size]
            if rng.random() < 0.5:
                colour[k] = colour[k, :, ::-1]
        colour = rng.permutation(colour).transpose(0, 3, 1, 2)
        splits.append(Pairs(grey(colour), colour))
    return PairedDataset("photographs", *splits)


def _forever(things):
    things = list(things)
    while True:
        yield from things


def grey(colour):
    """The brightness of colour images as the eye weighs it: ``(N, 3, H, W)`` to ``(N, 1, H, W)``, uint8.

    .. math:: 0.299\\,R + 0.587\\,G + 0.114\\,B
    """
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(np.einsum("c,nchw->nhw", weights, colour.astype(np.float32)))[:, None].astype(np.uint8)


def load(name, **sizes):
    """``"scenes"`` or ``"photographs"``, with the sizes and the seed of the function of that name."""
    sets = {"scenes": coloured_scenes, "photographs": coloured_photographs}
    if name not in sets:
        raise ValueError(f"there is no set of pairs {name!r}; there are {', '.join(sets)}")
    return sets[name](**sizes)
