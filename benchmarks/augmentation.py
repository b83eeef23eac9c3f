"""Chapter 06's table: what augmentation brings in three frameworks, and which transform brings it.

``python -m benchmarks.augmentation [frameworks] [transforms]`` trains everything that is not recorded yet in
``benchmarks/augmentation.json`` (delete the file to begin again) and prints the tables. Everything was chosen on the
validation split; the test split is read at the end of the three-framework runs only.
"""

import json
import sys
from pathlib import Path

import numpy as np

from course_lib import datasets
from course_lib.augmentation_training import LIMITS, OFF, NumPyLearner, accuracy, initial, train

RECORD = Path(__file__).with_name("augmentation.json")
SEEDS = (0, 1, 2)
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
                    yield (
                        key,
                        {
                            **dict(zip(("train", "validation", "test"), scores, strict=True)),
                            "seconds": round(sum(history["seconds"]), 1),
                        },
                    )


def transforms(data, record):
    """Train with each recipe in PyTorch; only the validation split is read."""
    for seed in SEEDS:
        for name, limits in recipes().items():
            key = f"{name} {seed}"
            if key not in record:
                learner = learner_of("PyTorch", initial(seed), limits)
                train(learner, data, EPOCHS, seed=seed)
                yield key, {"validation": round(accuracy(learner, data.validation), 4)}


def table(record):
    """The record as two Markdown tables, means over the seeds that are there."""

    def mean(prefix, part):
        return np.mean([record[f"{prefix} {seed}"][part] for seed in SEEDS if f"{prefix} {seed}" in record] or [np.nan])

    lines = ["| framework | train without | train with | test without | test with | gain |"]
    lines += ["|---|---|---|---|---|---|"]
    for name in ("NumPy", "Keras", "PyTorch"):
        a, b, c, d = (mean(f"{name} {how}", part) for part in ("train", "test") for how in ("without", "with"))
        lines.append(f"| {name} | {a:.3f} | {b:.3f} | {c:.3f} | {d:.3f} | {d - c:+.3f} |")
    lines += ["", "| recipe | validation |", "|---|---|"]
    lines += [f"| {name} | {mean(name, 'validation'):.3f} |" for name in recipes()]
    return "\n".join(lines)


def main(parts=("frameworks", "transforms")):
    """Measure what is missing, keep it, print the tables."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    data = datasets.shapes()
    for part in parts:
        for key, entry in {"frameworks": frameworks, "transforms": transforms}[part](data, record):
            record[key] = entry
            RECORD.write_text(json.dumps(record, indent=1) + "\n")
            print(key, entry, flush=True)
    print(table(record))


if __name__ == "__main__":
    main(sys.argv[1:] or ("frameworks", "transforms"))
