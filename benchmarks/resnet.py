"""Chapter 07's lines for :mod:`benchmarks.metrics`: plain against residual at three depths, and the best network."""

from functools import partial

SEEDS = (0, 1)
DEPTHS = {14: (2, 2, 2), 20: (3, 3, 3), 32: (5, 5, 5)}
IMAGES, EPOCHS = 1000, 6


def runs():
    """Every training, by its name."""
    result = {}
    for seed in SEEDS:
        result |= {f"depth {depth} {seed}": partial(pair, depth, seed) for depth in DEPTHS}
        result[f"best {seed}"] = partial(best, seed)
    return result


def best(seed):
    """The network of the notebook's section 7; the test split is read here."""
    from course_lib import datasets, resnet
    from course_lib.frameworks import keras

    data = datasets.shapes(n_train=4000)
    keras.utils.set_random_seed(seed)
    model = resnet.build_resnet("basic", (2, 2, 2), 16, 10, (32, 32, 3))
    history = resnet.train(model, data, 4000, 12, seed, turned=True, progress=False)
    return {"test": resnet.accuracy(model, data.test), "validation": history["validation accuracy"][-1]}


def pair(depth, seed):
    """The last training loss of both."""
    from course_lib import datasets, resnet

    results = resnet.compare(DEPTHS[depth], datasets.shapes(n_train=4000), IMAGES, EPOCHS, seed, progress=False)
    return {name: history["training loss"][-1] for name, (_, history) in results.items()}


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for depth in DEPTHS:
        for kind in ("plain", "residual"):
            values = tuple(record[f"depth {depth} {seed}"][kind] for seed in SEEDS)
            yield f"{depth} layers, training loss, {kind}", values, None, SEEDS
        gains = [record[f"depth {depth} {seed}"] for seed in SEEDS]
        yield f"{depth} layers, residual below plain by", tuple(g["plain"] - g["residual"] for g in gains), 0.1, SEEDS
    yield "14 layers with projections, test accuracy", tuple(record[f"best {s}"]["test"] for s in SEEDS), 0.95, SEEDS
