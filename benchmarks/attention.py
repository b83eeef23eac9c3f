"""Chapter 12's lines for :mod:`benchmarks.metrics`: translators of dates, with and without attention.

Settings were chosen on the validation split; each test split is read once for each seed.
"""

from functools import partial

from course_lib.attention import training
from course_lib.datasets.dates import dates

SEEDS = (0, 1, 2)
SEEDS_OF_RECURRENT = (0,)
EPOCHS = 4
MODELS = {
    "Transformer": training.date_transformer,
    "GRU with additive attention": training.date_recurrent,
    "GRU through one vector": lambda seed: training.date_recurrent(seed, attention=False),
}


def run(name, seed):
    """Train one translator; its test split is read here."""
    data, model = dates(seed=seed), MODELS[name](seed)
    training.fit(model, data.train, EPOCHS, seed)
    return {part: training.exact_match(model, getattr(data, part)) for part in ("validation", "test")}


def seeds_of(name):
    return SEEDS if name == "Transformer" else SEEDS_OF_RECURRENT


def runs():
    """Every training, by its name: ``"Transformer 0"``."""
    return {f"{name} {seed}": partial(run, name, seed) for name in MODELS for seed in seeds_of(name)}


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for name in MODELS:
        seeds = seeds_of(name)
        for part in ("test", "validation"):
            reach = 0.98 if (name, part) == ("Transformer", "test") else None
            values = tuple(record[f"{name} {seed}"][part] for seed in seeds)
            yield f"{name}, {EPOCHS} epochs, exact match, {part} dates", values, reach, seeds
