"""Chapter 06: one network, one recipe, three frameworks.

A *learner* holds the network in one framework and has three methods: ``step(x, y, u, lr)`` takes one step on a batch,
``augment(x, u)`` shows what a step makes of its images, ``scores(x)`` gives the scores of new images. All three
start from the same weights and are given the same batches and the same random numbers ``u``, so they do the same
arithmetic up to rounding.
"""

import time

import numpy as np

from course_lib.augmentation import augment
from course_lib.cnn import Adam, SoftmaxCrossEntropy, build

NETWORK = [
    ("conv", 16, 3, 1, 1), ("relu",), ("pool", 2, 2),
    ("conv", 32, 3, 1, 1), ("relu",), ("pool", 2, 2),
    ("conv", 64, 3, 1, 1), ("relu",), ("pool", 2, 2),
    ("flatten",), ("linear", 64), ("relu",), ("linear", 10),
]  # fmt: skip

# The limits of course_lib.augmentation.augment, chosen on the validation split.
LIMITS = {"angle": np.pi, "zoom": 1.1, "shift": 0.05, "flip": 0.5, "gain": 0.2, "fill": 0.25}
OFF = {"angle": 0.0, "zoom": 1.0, "shift": 0.0, "flip": 0.0, "gain": 0.0, "fill": 0.25}


def initial(seed, layers=NETWORK):
    """The network in NumPy with its first random weights, float32; the other frameworks copy these."""
    return build(layers, (3, 32, 32), np.random.default_rng(seed), np.float32)


class NumPyLearner:
    """The network of chapter 04.

    Parameters
    ----------
    network : Sequential
        Trained in place.
    limits : dict, optional
        Of :func:`course_lib.augmentation.augment`; none: images are left as they are.
    """

    name = "NumPy"

    def __init__(self, network, limits=None):
        self.network, self.limits = network, limits
        self.loss, self.optimizer = SoftmaxCrossEntropy(), Adam()

    def augment(self, x, u):
        """What a step makes of images ``(N, 3, 32, 32)`` between 0 and 1."""
        return augment(x, u, **self.limits) if self.limits else x

    def step(self, x, y, u, lr):
        """One step of Adam on a batch. Returns the batch's loss."""
        loss = self.loss.forward(self.network.forward(self.augment(x, u) - np.float32(0.5)), y)
        self.network.backward(self.loss.backward())
        self.optimizer.lr = lr
        self.optimizer.step(self.network.params, self.network.grads)
        return loss

    def scores(self, x):
        """The scores of images, shape (N, 10). Nothing is augmented."""
        return self.network.forward(x - np.float32(0.5))


def pixels(split, white=255):
    """A split's images between 0 and 1, float32, and its labels."""
    return split.x.astype(np.float32) / white, split.y


def train(learner, data, epochs=40, batch=32, lr=3e-3, seed=0, watch=None):
    """Train with Adam, a learning rate that falls in half a cosine wave, and new random numbers for each image.

    Parameters
    ----------
    learner : NumPyLearner, TorchLearner or KerasLearner
    data : Dataset
        Trained on ``data.train``; ``data.validation`` is only looked at, ``data.test`` not at all.
    epochs, batch : int
    lr : float
        The first learning rate.
    seed : int
        Of the order of the images and of the augmentation.
    watch : callable, optional
        ``watch(history)`` after each epoch.

    Returns
    -------
    dict of str to list of float
        ``"loss"``, ``"validation"`` (accuracy) and ``"seconds"``, one number for each epoch.
    """
    rng = np.random.default_rng([seed, 1])
    x, y = pixels(data.train, data.white)
    history = {"loss": [], "validation": [], "seconds": []}
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        rate = lr * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        order = rng.permutation(len(y))
        for first in range(0, len(y), batch):
            chosen = order[first : first + batch]
            u = rng.random((len(chosen), 6), dtype=np.float32)  # drawn also where it is not used: same order always
            total += float(learner.step(x[chosen], y[chosen], u, rate)) * len(chosen)
        history["seconds"].append(time.perf_counter() - start)
        history["loss"].append(total / len(y))
        history["validation"].append(accuracy(learner, data.validation, data.white))
        if watch is not None:
            watch(history)
    return history


def predict(learner, x, batch=256):
    """The class with the highest score for each image, shape (N,)."""
    return np.concatenate([learner.scores(x[k : k + batch]).argmax(axis=1) for k in range(0, len(x), batch)])


def accuracy(learner, split, white=255):
    """The share of a split's images whose class is predicted right."""
    x, y = pixels(split, white)
    return float((predict(learner, x) == y).mean())
