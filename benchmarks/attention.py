"""Chapter 12's lines for :mod:`benchmarks.metrics`: translators of dates, with and without attention.

Settings were chosen on the validation split; each test split is read once for each seed.
"""

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


def measure(record=None, keep=None):
    """Train every translator that ``record`` does not hold yet.

    Parameters
    ----------
    record : dict, optional
        What an interrupted measurement has left.
    keep : callable, optional
        ``keep(record)`` after each run.

    Returns
    -------
    dict
        ``{"Transformer 0": {"validation": ..., "test": ...}, ...}``
    """
    record = dict(record or {})
    for name, make in MODELS.items():
        for seed in SEEDS if name == "Transformer" else SEEDS_OF_RECURRENT:
            key = f"{name} {seed}"
            if key not in record:
                data, model = dates(seed=seed), make(seed)
                training.fit(model, data.train, EPOCHS, seed)
                parts = {"validation": data.validation, "test": data.test}
                record[key] = {part: training.exact_match(model, pairs) for part, pairs in parts.items()}
                if keep is not None:
                    keep(record)
    return record


def lines(record):
    """The record as ``(name, values over the seeds, what the mean must reach, seeds)``."""
    for name in MODELS:
        seeds = SEEDS if name == "Transformer" else SEEDS_OF_RECURRENT
        for part in ("test", "validation"):
            reach = 0.98 if (name, part) == ("Transformer", "test") else None
            values = tuple(record[f"{name} {seed}"][part] for seed in seeds)
            yield f"{name}, {EPOCHS} epochs, exact match, {part} dates", values, reach, seeds
