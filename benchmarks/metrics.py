"""What the course's networks reach, as means over seeds, for every chapter that trains one.

``python -m benchmarks.metrics [CHAPTER ...]`` (or ``make metrics``) trains, writes ``benchmarks/results/CHAPTER.json``
and the table of all chapters, ``benchmarks/results/README.md``, and ends with 1 if a mean misses what is to be
reached. Notebooks show these numbers as recorded (:mod:`course_lib.recorded`) and train one seed themselves.

A chapter joins with one function here that yields a :class:`Metric` for each of its lines.
"""

import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)


class Metric(NamedTuple):
    """One line: a number for each seed."""

    name: str
    values: tuple[float, ...]
    at_least: float | None = None  # what the mean must reach; None: measured for comparison only
    seeds: tuple[int, ...] = SEEDS
    at_most: float | None = None  # what the mean must not exceed: for errors

    @property
    def mean(self):
        return float(np.mean(self.values))

    @property
    def reached(self):
        high_enough = self.at_least is None or self.mean >= self.at_least
        return high_enough and (self.at_most is None or self.mean <= self.at_most)

    @property
    def wanted(self):
        """What is to be reached, as text: empty if nothing is."""
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def cnn():
    """Chapter 04 on scikit-learn's digits: chosen on the validation split, the test split read once for each seed."""
    from course_lib import cnn as library
    from course_lib.datasets import digits

    def train(seed, divisor, optimizer, epochs, schedule):
        data, rng = digits(seed), np.random.default_rng(seed)
        splits = [(split.x / divisor, split.y) for split in (data.train, data.validation, data.test)]
        network = library.build(library.DIGIT_NETWORK, (1, 8, 8), rng)
        history = library.fit(network, optimizer, splits[0], splits[1], epochs, 64, rng, schedule)
        return network, history["validation accuracy"], splits[2]

    validated, tested = [], []
    for seed in SEEDS:
        network, accuracies, test = train(seed, 16, library.Adam(lr=0.01), 30, library.cosine)
        validated.append(accuracies[-1])
        tested.append(library.accuracy(network, *test))
    yield Metric("test accuracy, Adam, 30 epochs", tuple(tested), at_least=0.98)
    yield Metric("validation accuracy of the same networks", tuple(validated))
    by_16 = [train(seed, 16, library.SGD(lr=0.1), 20, lambda done: 1.0)[1] for seed in SEEDS]
    by_255 = [train(seed, 255, library.SGD(lr=0.1), 100, lambda done: 1.0)[1] for seed in SEEDS]
    yield Metric("validation accuracy, divided by 16, SGD, 20 epochs", tuple(a[19] for a in by_16))
    yield Metric("validation accuracy, divided by 255, SGD, 20 epochs", tuple(a[19] for a in by_255))
    yield Metric("validation accuracy, divided by 255, SGD, 100 epochs", tuple(a[99] for a in by_255))


def augmentation():
    """Chapter 06 on the coloured shapes: three frameworks with and without, and each transform by itself."""
    from benchmarks import augmentation as chapter

    for line in chapter.lines(chapter.measure()):
        yield Metric(*line)


def mask_rcnn():
    """Chapter 10: AP on 100 test scenes after 700 steps."""
    from benchmarks import mask_rcnn as chapter

    scores = [chapter.run(seed)[1] for seed in chapter.SEEDS]
    for line in chapter.lines(scores, chapter.SEEDS):
        yield Metric(*line)


def rnn():
    """Chapter 11 on Python's reference: what both character models make of the test text."""
    from benchmarks import rnn as chapter

    for name, values, at_most in chapter.lines([chapter.one_seed(seed) for seed in chapter.SEEDS]):
        yield Metric(name, values, at_most=at_most)


def attention():
    """Chapter 12: dates that training never saw, written by a Transformer and by recurrent translators."""
    from benchmarks import attention as chapter
def resnet():
    """Chapter 07 on the coloured shapes: plain against residual at three depths, and the notebook's network."""
    from benchmarks import resnet as chapter

    for line in chapter.lines(chapter.measure()):
        yield Metric(*line)


CHAPTERS = {"cnn": cnn, "augmentation": augmentation, "mask_rcnn": mask_rcnn, "rnn": rnn, "attention": attention}
CHAPTERS = {"cnn": cnn, "augmentation": augmentation, "resnet": resnet}
def unet():
    """Chapter 08 on drawn hearts: with and without skips; each network reads the test split once."""
    from benchmarks import unet as chapter

    for line in chapter.lines():
        yield Metric(*line)


CHAPTERS = {"cnn": cnn, "augmentation": augmentation, "unet": unet}


def record(chapter):
    """Measure one chapter and write its file.

    Returns
    -------
    list of Metric
    """
    start = time.perf_counter()
    metrics = list(CHAPTERS[chapter]())
    result = {
        "chapter": chapter,
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "on": f"Python {platform.python_version()}, NumPy {version('numpy')}, {platform.machine()}, CPU",
        "metrics": [
            {"name": m.name, "mean": round(m.mean, 4), "at_least": m.at_least,
             "at_most": m.at_most, "seeds": list(m.seeds), "values": [round(v, 4) for v in m.values]}
            for m in metrics
        ],
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{chapter}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return metrics


def write_table():
    """The table of all chapters that have been recorded, from their files."""
    lines = [
        "# What the course's networks reach",
        "",
        "Written by `make metrics`. Each mean is over the seeds whose values follow it.",
        "",
        "| chapter | metric | mean | to reach | values |",
        "|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for m in result["metrics"]:
            wanted = Metric(m["name"], (), m["at_least"], at_most=m.get("at_most")).wanted
            values = ", ".join(f"{value:.4f}" for value in m["values"])
            lines.append(f"| {result['chapter']} | {m['name']} | {m['mean']:.4f} | {wanted} | {values} |")
    (RESULTS / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(names):
    reached = True
    for name in names or CHAPTERS:
        if name not in CHAPTERS:
            raise SystemExit(f"there is no chapter {name!r} here; there are {', '.join(CHAPTERS)}")
        for m in record(name):
            wanted = m.wanted and f"to reach {m.wanted}: {'yes' if m.reached else 'NO'}"
            print(f"{name:14} {m.name:56} {m.mean:.4f}  {wanted}", flush=True)
            reached &= m.reached
    write_table()
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
