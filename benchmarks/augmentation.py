"""Chapter 06's lines for :mod:`benchmarks.metrics`: what augmentation brings in three frameworks, and which transform.

Everything was chosen on the validation split; the test split is read at the end of the three-framework runs only.
"""

from functools import partial

import numpy as np

from course_lib import datasets
from course_lib.augmentation_training import LIMITS, OFF, NumPyLearner, accuracy, initial, train

SEEDS = (0, 1, 2)
SEEDS_OF_RECIPES = (0, 1)  # eleven trainings for each
EPOCHS = 40
SAME = {"nothing": "PyTorch without", "all": "PyTorch with"}  # recipes that are trained anyway

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


def in_framework(framework, limits, seed):
    """Train in one framework; the test split is read here."""
    data, learner = datasets.shapes(), learner_of(framework, initial(seed), limits)
    train(learner, data, EPOCHS, seed=seed)
    return {part: accuracy(learner, getattr(data, part)) for part in ("train", "validation", "test")}


def with_recipe(limits, seed):
    """Train in PyTorch with some of the transforms; only the validation split is read."""
    data, learner = datasets.shapes(), learner_of("PyTorch", initial(seed), limits)
    train(learner, data, EPOCHS, seed=seed)
    return {"validation": accuracy(learner, data.validation)}


def runs():
    """Every training, by its name: ``"PyTorch with 0"``, ``"only turn 0"``."""
    result = {}
    for seed in SEEDS:
        for framework in ("PyTorch", "Keras", "NumPy"):
            for name, limits in (("without", None), ("with", LIMITS)):
                result[f"{framework} {name} {seed}"] = partial(in_framework, framework, limits, seed)
    for seed in SEEDS_OF_RECIPES:
        for name, limits in recipes().items():
            if name not in SAME:
                result[f"{name} {seed}"] = partial(with_recipe, limits, seed)
    return result


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
        values = tuple(record[f"{SAME.get(name, name)} {seed}"]["validation"] for seed in SEEDS_OF_RECIPES)
        yield f"PyTorch, validation: {name}", values, None, SEEDS_OF_RECIPES
