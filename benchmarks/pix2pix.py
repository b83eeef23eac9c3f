"""Chapter 09's lines for :mod:`benchmarks.metrics`: scenes coloured with and without a discriminator, other lambdas.

Networks, rate and number of steps were chosen on the validation split; the test split is read once for each network.
"""

from functools import partial

import numpy as np

from course_lib import pix2pix as library
from course_lib.datasets import pairs

SEEDS = (0, 1)
STEPS = 1600
WEIGHTS = {"100": 100.0, "none": None, "10": 10.0, "1": 1.0}  # "none": L1 alone, no discriminator


def run(key):
    """One training: ``"scenes 100 0"`` is the set, lambda, and the seed.

    Returns
    -------
    dict of str to float
    """
    name, lam, seed = key.split()
    data = pairs.load(name)
    trainer = library.Trainer(int(seed), WEIGHTS[lam]).fit(data.train, STEPS, progress=False)
    pictures, truth = trainer.colour(data.test.x), data.test.y.transpose(0, 2, 3, 1) / 255
    result = {
        "validation": library.l1(trainer.colour(data.validation.x), data.validation.y),
        "l1": library.l1(pictures, data.test.y),
        "grain": float(library.grain(pictures).mean() / library.grain(truth).mean()),
        "mean": float(np.abs(library.mean_image(data.train) - truth).mean()),
        "grey": float(np.abs(data.test.x.transpose(0, 2, 3, 1) / 255 - truth).mean()),
    }
    for curve in ("D", "adversarial"):
        if curve in trainer.history:
            result[curve] = float(np.mean(trainer.history[curve][-100:]))
    return result


def runs():
    """Every training, by its name."""
    keys = [f"scenes {lam} {seed}" for seed in SEEDS for lam in ("100", "none")]
    keys += ["scenes 10 0", "scenes 1 0", "photographs 100 0"]
    return {key: partial(run, key) for key in keys}


def lines(record):
    """The record as ``(name, values over the seeds, least, seeds, most)``."""
    scenes = {lam: [record[f"scenes {lam} {seed}"] for seed in SEEDS] for lam in ("100", "none")}

    def values(lam, what):
        return tuple(run[what] for run in scenes[lam])

    yield "scenes, L1: adversarial and 100 · L1", values("100", "l1"), None, SEEDS, 0.05
    yield "scenes, L1: L1 alone", values("none", "l1"), None, SEEDS, None
    yield "scenes, L1: the mean image", values("100", "mean"), None, SEEDS, None
    yield "scenes, grain of the truth: adversarial and 100 · L1", values("100", "grain"), None, SEEDS, None
    yield "scenes, grain of the truth: L1 alone", values("none", "grain"), None, SEEDS, None
    for lam in ("10", "1"):
        one = record[f"scenes {lam} 0"]
        yield f"scenes, L1: adversarial and {lam} · L1", (one["l1"],), None, (0,), None
        yield f"scenes, grain of the truth: adversarial and {lam} · L1", (one["grain"],), None, (0,), None
    one = record["photographs 100 0"]
    yield "photographs, L1: adversarial and 100 · L1", (one["l1"],), None, (0,), None
    yield "photographs, L1: the grey copy", (one["grey"],), None, (0,), None
