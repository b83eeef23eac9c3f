"""Chapter 08's lines for :mod:`benchmarks.metrics`: a U-Net with and without its skips, FCN, SegNet, on drawn hearts.

Nothing is chosen on the test split; each network reads it once.
"""

from functools import partial

import numpy as np

SEEDS = (0, 1)
EPOCHS = 6
KINDS = {"unet": ("U-Net", SEEDS), "plain": ("without skips", (0,)), "fcn": ("FCN", (0,)), "segnet": ("SegNet", (0,))}


def run(kind, seed):
    """Train one network from a seed (of patients, weights and order) and read the test split.

    Parameters
    ----------
    kind : {"unet", "plain", "fcn", "segnet"}

    Returns
    -------
    dict
        Dice of each class, and the mean absolute error of the ejection fraction.
    """
    from course_lib import unet as library
    from course_lib.datasets import cardiac
    from course_lib.frameworks import keras

    hearts = cardiac.hearts(seed=seed)
    keras.utils.set_random_seed(seed)
    model = getattr(library, f"build_{kind}")((64, 64, 1), 4)
    library.fit(model, *cardiac.images_and_labels(hearts.train), EPOCHS, seed=seed)
    x, y = cardiac.images_and_labels(hearts.test)
    result = dict(zip(cardiac.CLASSES, map(float, library.dice(y, library.predict(model, x), 4)), strict=True))
    errors = []
    for patient in hearts.test:
        seen = library.segment(model, patient)
        right, found = (library.ejection_fraction(p.ed_labels, p.es_labels, p.spacing)[2] for p in (patient, seen))
        errors.append(abs(right - found))
    return result | {"ejection fraction, mean error": float(np.mean(errors))}


def runs():
    """Every training, by its name: ``"unet 0"``."""
    return {f"{kind} {seed}": partial(run, kind, seed) for kind, (_, seeds) in KINDS.items() for seed in seeds}


def lines(record):
    """``(name, values over the seeds, what the mean must reach, seeds)``."""
    for kind, (what, seeds) in KINDS.items():
        results = [record[f"{kind} {seed}"] for seed in seeds]
        for name in ("left ventricle", "myocardium", "right ventricle", "ejection fraction, mean error"):
            reach = {"left ventricle": 0.96, "myocardium": 0.90}.get(name) if kind == "unet" else None
            label = name if "error" in name else f"Dice of the {name}"
            yield f"{what}, {label}", tuple(one[name] for one in results), reach, seeds
