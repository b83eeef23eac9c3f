"""Chapter 07's lines for :mod:`benchmarks.metrics`: plain against residual at three depths, and the best network.

``python -m benchmarks.resnet`` trains one missing run after the other, at most ``--runs`` of them, and keeps each in
``benchmarks/results/runs/resnet.json``, so that a long measurement can be made in pieces.
"""

import argparse
import json
from pathlib import Path

SEEDS = (0, 1)
DEPTHS = {14: (2, 2, 2), 32: (5, 5, 5), 50: (8, 8, 8)}
IMAGES, EPOCHS = 2000, 5
KEPT = Path(__file__).parent / "results" / "runs" / "resnet.json"


def wanted():
    """Every run: a name, and what makes it."""
    for seed in SEEDS:
        for depth in (32, 14, 50):
            yield f"depth {depth} {seed}", lambda data, depth=depth, seed=seed: pair(data, depth, seed)
        yield f"best {seed}", lambda data, seed=seed: best(data, seed)


def best(data, seed):
    """The network of the notebook's section 7; the test split is read here."""
    from course_lib import resnet
    from course_lib.frameworks import keras

    keras.utils.set_random_seed(seed)
    model = resnet.build_resnet("basic", (2, 2, 2), 16, 10, (32, 32, 3))
    history = resnet.train(model, data, 4000, 12, seed, progress=False)
    return {"test": resnet.accuracy(model, data.test), "validation": history["validation accuracy"][-1],
            "seconds": history["seconds"]}  # fmt: skip


def pair(data, depth, seed):
    """The last training loss of both."""
    from course_lib import resnet

    results = resnet.compare(DEPTHS[depth], data, IMAGES, EPOCHS, seed, progress=False)
    found = {name: history["training loss"][-1] for name, (_, history) in results.items()}
    return found | {"seconds": sum(history["seconds"] for _, history in results.values())}


def measure(runs=None):
    """Train what is missing, at most ``runs``; the record of all."""
    from course_lib import datasets

    record = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    missing = [(name, make) for name, make in wanted() if name not in record][:runs]
    data = datasets.shapes(n_train=4000) if missing else None
    for name, make in missing:
        record[name] = {key: round(value, 4) for key, value in make(data).items()}
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(record, indent=1) + "\n")
        print(name, record[name], flush=True)
    return record


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for depth in DEPTHS:
        for kind in ("plain", "residual"):
            values = tuple(record[f"depth {depth} {seed}"][kind] for seed in SEEDS)
            yield f"{depth} layers, training loss, {kind}", values, None, SEEDS
        gains = [record[f"depth {depth} {seed}"] for seed in SEEDS]
        yield f"{depth} layers, residual below plain by", tuple(g["plain"] - g["residual"] for g in gains), 0.1, SEEDS
    yield "14 layers with projections, test accuracy", tuple(record[f"best {s}"]["test"] for s in SEEDS), 0.95, SEEDS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=None)
    measure(parser.parse_args().runs)
