"""The data of the course: drawn by the computer or inside an installed package; the real sets when there is a network.

=================  ==========================================  ============================================
function           what                                        where it comes from
=================  ==========================================  ============================================
``shapes()``       coloured shapes, 10 classes, 3×32×32        drawn from a seed
``digits()``       handwritten digits, 10 classes, 1×8×8       inside scikit-learn
``photographs()``  two colour photographs, 427×640             inside scikit-learn
``reviews()``      short film reviews, praise or not           drawn from a seed
``mnist()``        handwritten digits, 10 classes, 1×28×28     downloaded once, 11 MB
``cifar10()``      small photographs, 10 classes, 3×32×32      downloaded once, 170 MB
``shakespeare()``  lines of his plays                          downloaded once, 1 MB
=================  ==========================================  ============================================

Every set of labelled images is a :class:`Dataset` of three splits: train on the first, choose on the second, read the
third once. Images are ``uint8``, channels first; ``white`` says which number is white.

``python_reference()`` is a text of 373,102 characters that ships with the course, ``gutenberg(path)`` a book that you
have saved; they and ``shakespeare()`` come as a :class:`Text <course_lib.datasets.texts.Text>` of three splits.

Where downloads are kept, and how a class shares them: :mod:`course_lib.datasets.download`. Licences and sources of
all sets: ``data/README.md``.
"""

import os
from typing import NamedTuple

import numpy as np

from course_lib.datasets import coloured_shapes
from course_lib.datasets.film_reviews import reviews as reviews
from course_lib.datasets.texts import gutenberg as gutenberg
from course_lib.datasets.texts import python_reference as python_reference
from course_lib.datasets.texts import shakespeare as shakespeare


class Split(NamedTuple):
    """Images ``x`` of shape ``(N, C, H, W)``, uint8, and their classes ``y`` of shape ``(N,)``, int64."""

    x: np.ndarray
    y: np.ndarray

    def take(self, n):
        """The first ``n`` images. (The order is random, so they are a fair sample.)"""
        return Split(self.x[:n], self.y[:n])


class Dataset(NamedTuple):
    """Labelled images in three splits.

    ``classes[k]`` is the name of class ``k``; ``white`` is the number that stands for white: divide by it, and pixels
    are between 0 and 1.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    white: int

    def __repr__(self):
        sizes = ", ".join(f"{len(getattr(self, part).y):,} {part}" for part in ("train", "validation", "test"))
        shape = "×".join(map(str, self.train.x.shape[1:]))
        return f"<{self.name}: {sizes}; {shape}, 0..{self.white}, {len(self.classes)} classes>"


def shapes(n_train=1000, n_validation=500, n_test=2000, seed=0):
    """Coloured shapes in ten classes, equally many of each class (to within one).

    The three splits come from separate random streams: asking for more training images changes no test image.

    Parameters
    ----------
    n_train, n_validation, n_test : int
    seed : int
        Another seed draws another set of the same kind.

    Returns
    -------
    Dataset
        Images of shape ``(3, 32, 32)``.
    """
    splits = []
    for stream, n in enumerate((n_train, n_validation, n_test)):
        rng = np.random.default_rng([seed, stream])
        y = rng.permutation(np.arange(n) % len(coloured_shapes.CLASSES))
        splits.append(Split(coloured_shapes.draw(y, rng), y))
    return Dataset("shapes", *splits, coloured_shapes.CLASSES, 255)


def digits(seed=0):
    """The 1,797 handwritten digits inside scikit-learn: 1,197 to train on, 300 for validation, 300 to test.

    Parameters
    ----------
    seed : int
        Of the shuffle before the set is split.

    Returns
    -------
    Dataset
        Images of shape ``(1, 8, 8)`` whose white is **16**, not 255.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    x, y = source.images[:, None].astype(np.uint8), source.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(y))
    parts = np.split(order, [len(y) - 600, len(y) - 300])
    return Dataset("digits", *(Split(x[part], y[part]) for part in parts), tuple("0123456789"), 16)


def photographs():
    """Two colour photographs, ``china`` and ``flower``, each of shape ``(427, 640, 3)``, uint8, channels last."""
    from sklearn.datasets import load_sample_image

    return {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}


def mnist(download=None, folder=None):
    """The MNIST handwritten digits: 55,000 to train on, 5,000 for validation (the last of the 60,000), 10,000 to test.

    Parameters
    ----------
    download, folder
        See :func:`course_lib.datasets.download.fetch`.

    Returns
    -------
    Dataset
        Images of shape ``(1, 28, 28)``.
    """
    from course_lib.datasets.download import fetch
    from course_lib.datasets.formats import read_idx

    arrays = []
    for part in ("train", "t10k"):
        x = read_idx(fetch(f"mnist/{part}-images-idx3-ubyte.gz", download, folder), ndim=3)
        y = read_idx(fetch(f"mnist/{part}-labels-idx1-ubyte.gz", download, folder), ndim=1)
        arrays.append((x[:, None], y.astype(np.int64)))
    return _split("MNIST", *arrays, tuple("0123456789"))


def cifar10(download=None, folder=None):
    """CIFAR-10: 45,000 small photographs to train on, 5,000 for validation (the last of the 50,000), 10,000 to test.

    Parameters
    ----------
    download, folder
        See :func:`course_lib.datasets.download.fetch`.

    Returns
    -------
    Dataset
        Images of shape ``(3, 32, 32)``.
    """
    from course_lib.datasets.download import fetch
    from course_lib.datasets.formats import read_cifar10

    return _split("CIFAR-10", *read_cifar10(fetch("cifar-10-python.tar.gz", download, folder)))


def _split(name, train, test, classes):
    """Keep the last twelfth (MNIST) or tenth (CIFAR-10) of the training images, 5,000, for validation."""
    x, y = train
    n = len(y) - min(5000, len(y) // 10)
    return Dataset(name, Split(x[:n], y[:n]), Split(x[n:], y[n:]), Split(*test), classes, 255)


REAL = {"shapes": cifar10, "digits": mnist}  # the downloaded set that may take an offline set's place


def load(name, real=None):
    """The set that a chapter works on: offline by default, the real one where that is asked for.

    Parameters
    ----------
    name : str
        ``"shapes"`` or ``"digits"``.
    real : bool, optional
        Load CIFAR-10 in place of the shapes, MNIST in place of the digits. Default: whether the environment variable
        ``COURSE_REAL_DATA`` is 1.

    Returns
    -------
    Dataset
    """
    offline = {"shapes": shapes, "digits": digits}
    if name not in offline:
        raise ValueError(f"there is no set {name!r}; there are {', '.join(offline)}")
    if real is None:
        real = os.environ.get("COURSE_REAL_DATA", "") == "1"
    return REAL[name]() if real else offline[name]()
