"""Chapter 06's lines for :mod:`benchmarks.metrics`: what augmentation brings in three frameworks, and which transform.

Everything was chosen on the validation split; the test split is read at the end of the three-framework runs only.
"""

import numpy as np

from course_lib import datasets
from course_lib.augmentation_training import LIMITS, OFF, NumPyLearner, accuracy, initial, train

SEEDS = (0, 1, 2)
SEEDS_OF_RECIPES = (0, 1)  # eleven trainings for each
EPOCHS = 40

# Which limits each transform needs; the others stay switched off.
TRANSFORMS = {
    "turn": ("angle",),
    "zoom": ("zoom",),
    "shift": ("shift",),
    "mirror": ("flip",),
    "brightness": ("gain",),
}


def recipes():
    """Nothing, each transform alone, all, and all but one: name to limits."""
    table = {"nothing": None}
    for name, keys in TRANSFORMS.items():
        table[f"only {name}"] = OFF | {key: LIMITS[key] for key in keys}
    table["all"] = LIMITS
    for name, keys in TRANSFORMS.items():
        table[f"all but {name}"] = LIMITS | {key: OFF[key] for key in keys}
    return table


def learner_of(framework, network, limits):
    """A learner of one framework, imported when it is first needed."""
    if framework == "PyTorch":
        from course_lib.augmentation_torch import TorchLearner as Learner
    elif framework == "Keras":
        from course_lib.augmentation_keras import KerasLearner as Learner
    else:
        Learner = NumPyLearner
    return Learner(network, limits)


def frameworks(data, record):
    """Train in each framework with and without augmentation; the test split is read here."""
    for seed in SEEDS:
        for framework in ("PyTorch", "Keras", "NumPy"):
            for name, limits in (("without", None), ("with", LIMITS)):
                key = f"{framework} {name} {seed}"
                if key not in record:
                    learner = learner_of(framework, initial(seed), limits)
                    history = train(learner, data, EPOCHS, seed=seed)
                    parts = (data.train, data.validation, data.test)
                    scores = [round(accuracy(learner, part), 4) for part in parts]
                    entry = dict(zip(("train", "validation", "test"), scores, strict=True))
                    yield key, entry | {"seconds": round(sum(history["seconds"]), 1)}


def transforms(data, record):
    """Train with each recipe in PyTorch; only the validation split is read."""
    for seed in SEEDS_OF_RECIPES:
        for name, limits in recipes().items():
            key = f"{name} {seed}"
            same = {"nothing": f"PyTorch without {seed}", "all": f"PyTorch with {seed}"}.get(name)
            if key not in record and same in record:  # the very same run
                yield key, {"validation": record[same]["validation"]}
            elif key not in record:
                learner = learner_of("PyTorch", initial(seed), limits)
                train(learner, data, EPOCHS, seed=seed)
                yield key, {"validation": round(accuracy(learner, data.validation), 4)}


def measure(record=None, keep=None):
    """Train everything that ``record`` does not hold yet.

    Parameters
    ----------
    record : dict, optional
        What an interrupted measurement has left.
    keep : callable, optional
        ``keep(record)`` after each run.

    Returns
    -------
    dict
        ``{"PyTorch with 0": {"train": ..., "validation": ..., "test": ...}, "only turn 0": {"validation": ...}, ...}``
    """
    record, data = dict(record or {}), datasets.shapes()
    for part in (frameworks, transforms):
        for key, entry in part(data, record):
            record[key] = entry
            if keep is not None:
                keep(record)
    return record


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for framework in ("NumPy", "Keras", "PyTorch"):
        by_part = {
            (how, part): [record[f"{framework} {how} {seed}"][part] for seed in SEEDS]
            for how in ("without", "with") for part in ("train", "test")
        }  # fmt: skip
        for (how, part), values in by_part.items():
            reach = 0.9 if (how, part) == ("with", "test") else None
            yield f"{framework}, {part} accuracy {how} augmentation", tuple(values), reach, SEEDS
        gains = np.subtract(by_part["with", "test"], by_part["without", "test"])
        yield f"{framework}, gain on the test split", tuple(map(float, gains)), 0.1, SEEDS
    for name in recipes():
        values = tuple(record[f"{name} {seed}"]["validation"] for seed in SEEDS_OF_RECIPES)
        yield f"PyTorch, validation: {name}", values, None, SEEDS_OF_RECIPES
