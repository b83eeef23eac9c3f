"""Chapter 10's lines for :mod:`benchmarks.metrics`, and the weights that the notebook offers instead of a training.

``python -m benchmarks.mask_rcnn weights`` trains seed 0 and writes them. The settings were chosen on the validation
scenes; the test scenes are read once for each seed.
"""

import sys
from functools import partial

from course_lib import mask_rcnn as library
from course_lib.datasets import shape_scenes
from course_lib.mask_rcnn.training import WEIGHTS, store

SEEDS = (0, 1, 2)
STEPS = 700


def run(seed, steps=STEPS, scenes=1500):
    """Train one network. Scenes are the same for every seed; weights, order, flips and samples differ.

    Returns
    -------
    model : MaskRCNN
    scores : dict of str to float
        On the 100 test scenes, such as ``"boxes AP50"``.
    """
    train, _, test = shape_scenes.splits(n_train=scenes)
    model = library.new_model(len(shape_scenes.CLASSES), seed)
    library.train(model, train, steps, seed=seed, progress=False)
    return model, score(model, test)


def score(model, scenes):
    """AP, AP50 and AP75 of boxes and masks."""
    detections, result = library.detect_all(model, scenes), {}
    for of in ("boxes", "masks"):
        for name, value in library.coco_ap(detections, scenes, len(shape_scenes.CLASSES), of).items():
            result[f"{of} {name}"] = value
    return result


def write_weights():
    """Train seed 0 and store its weights; what they reach before and after rounding."""
    model, scores = run(0)
    store(model)
    _, _, test = shape_scenes.splits(n_train=0)
    print(f"{WEIGHTS.name}, {WEIGHTS.stat().st_size:,} bytes")
    for name, value in score(library.trained(), test).items():
        print(f"{name:12} {scores[name]:.4f}, rounded {value:.4f}")


def runs():
    """One training for each seed."""
    return {f"seed {seed}": partial(measured, seed) for seed in SEEDS}


def measured(seed):
    return run(seed)[1]


def lines(record):
    """``(name, values over the seeds, what the mean must reach, seeds)``."""
    for of in ("boxes", "masks"):
        for name in ("AP", "AP50", "AP75"):
            values = tuple(record[f"seed {seed}"][f"{of} {name}"] for seed in SEEDS)
            yield f"{of} {name}, 100 test scenes", values, 0.92 if name == "AP50" else None, SEEDS


if __name__ == "__main__":
    if sys.argv[1:] != ["weights"]:
        raise SystemExit("usage: python -m benchmarks.mask_rcnn weights")
    write_weights()
