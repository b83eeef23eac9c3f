"""Chapter 04's lines for :mod:`benchmarks.metrics`: digits, and what dividing by the wrong number costs.

Everything was chosen on the validation split; the test split is read once for each seed.
"""

import numpy as np

from course_lib import cnn as library
from course_lib.datasets import digits

SEEDS = (0, 1, 2)


def train(seed, divisor, optimizer, epochs, schedule):
    """The digit network, the validation accuracy after each epoch, and the test split."""
    data, rng = digits(seed), np.random.default_rng(seed)
    splits = [(split.x / divisor, split.y) for split in (data.train, data.validation, data.test)]
    network = library.build(library.DIGIT_NETWORK, (1, 8, 8), rng)
    history = library.fit(network, optimizer, splits[0], splits[1], epochs, 64, rng, schedule)
    return network, history["validation accuracy"], splits[2]


def best(seed):
    """The notebook's training; the test split is read here."""
    network, accuracies, test = train(seed, 16, library.Adam(lr=0.01), 30, library.cosine)
    return {"validation": accuracies[-1], "test": library.accuracy(network, *test)}


def divided(seed, divisor, epochs):
    """Plain gradient descent on pixels divided by 16, which is right, or 255."""
    accuracies = train(seed, divisor, library.SGD(lr=0.1), epochs, lambda done: 1.0)[1]
    return {f"validation after {n}": accuracies[n - 1] for n in (20, epochs)}


def runs():
    """Every training, by its name."""
    return {
        f"{name} {seed}": lambda seed=seed, make=make: make(seed)
        for seed in SEEDS
        for name, make in (
            ("Adam", best),
            ("by 16", lambda seed: divided(seed, 16, 20)),
            ("by 255", lambda seed: divided(seed, 255, 100)),
        )
    }


def lines(record):
    """``(name, values over the seeds, what the mean must reach)``."""

    def values(run, what):
        return tuple(record[f"{run} {seed}"][what] for seed in SEEDS)

    yield "test accuracy, Adam, 30 epochs", values("Adam", "test"), 0.98
    yield "validation accuracy of the same networks", values("Adam", "validation")
    yield "validation accuracy, divided by 16, SGD, 20 epochs", values("by 16", "validation after 20")
    yield "validation accuracy, divided by 255, SGD, 20 epochs", values("by 255", "validation after 20")
    yield "validation accuracy, divided by 255, SGD, 100 epochs", values("by 255", "validation after 100")
