"""Chapter 12's lines for :mod:`benchmarks.metrics`: the Transformer that translates dates.

Settings were chosen on the validation split; each test split is read once for each seed.
"""

from functools import partial

from course_lib.attention import training
from course_lib.datasets.dates import dates

SEEDS = (0, 1, 2)
EPOCHS = 4


def run(seed):
    """Train one translator on dates drawn with the same seed; its test split is read here."""
    data, model = dates(seed=seed), training.date_transformer(seed)
    training.fit(model, data.train, EPOCHS, seed)
    return {part: training.exact_match(model, getattr(data, part)) for part in ("validation", "test")}


def runs():
    """Every training, by its name: ``"Transformer 0"``."""
    return {f"Transformer {seed}": partial(run, seed) for seed in SEEDS}


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for part, reach in (("test", 0.98), ("validation", None)):
        values = tuple(record[f"Transformer {seed}"][part] for seed in SEEDS)
        yield f"Transformer, {EPOCHS} epochs, exact match, {part} dates", values, reach, SEEDS
