"""What the course's networks reach, as means over seeds, for every chapter that trains one.

``python -m benchmarks.metrics [CHAPTER ...] [--runs KEY ...]`` (or ``make metrics``) trains, writes
``benchmarks/results/CHAPTER.json`` and the table of all chapters, ``benchmarks/results/README.md``, and ends with 1 if
a mean misses what is to be reached. Notebooks show these numbers as recorded (:mod:`course_lib.recorded`) and train
one seed themselves.

A chapter joins with a module of its name here: ``runs()`` names its trainings, ``lines(record)`` makes the table from
what they returned. Each training is kept as it ends, so that an interrupted measurement goes on where it stood.
"""

import argparse
import importlib
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

RESULTS = Path(__file__).parent / "results"
CHAPTERS = ("cnn", "augmentation", "resnet", "unet", "pix2pix", "mask_rcnn", "rnn", "attention")


class Metric(NamedTuple):
    """One line: a number for each seed."""

    name: str
    values: tuple[float, ...]
    at_least: float | None = None  # what the mean must reach; None: measured for comparison only
    seeds: tuple[int, ...] = (0, 1, 2)
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


def measure(chapter, wanted=None):
    """Train what no earlier call has kept yet.

    Parameters
    ----------
    chapter : str
    wanted : list of str, optional
        Only these runs.

    Returns
    -------
    dict or None
        What each run returned, by its name, with ``"seconds"``; None while some are missing.
    """
    runs, kept = importlib.import_module(f"benchmarks.{chapter}").runs(), RESULTS / "kept" / f"{chapter}.json"
    if unknown := set(wanted or ()) - set(runs):
        raise SystemExit(f"{chapter} has no run {sorted(unknown)[0]!r}; its runs are {', '.join(map(repr, runs))}")

    def record():  # read anew each time: others may measure other runs of this chapter meanwhile
        return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}

    for key in wanted or runs:
        if key not in record():
            start = time.perf_counter()
            values = {name: round(float(value), 4) for name, value in runs[key]().items()}
            values = {"seconds": round(time.perf_counter() - start, 1)} | values
            print(chapter, key, values, flush=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(record() | {key: values}, indent=1) + "\n", encoding="utf-8")
    return record() if set(runs) <= set(record()) else None


def write(chapter, record):
    """Write a chapter's file from all its runs, which need not be kept any longer.

    Returns
    -------
    list of Metric
    """
    metrics = [Metric(*line) for line in importlib.import_module(f"benchmarks.{chapter}").lines(record)]
    result = {
        "chapter": chapter,
        "minutes": round(sum(run["seconds"] for run in record.values()) / 60, 1),
        "on": f"Python {platform.python_version()}, NumPy {version('numpy')}, {platform.machine()}, CPU",
        "metrics": [
            {"name": m.name, "mean": round(m.mean, 4), "at_least": m.at_least,
             "at_most": m.at_most, "seeds": list(m.seeds), "values": [round(v, 4) for v in m.values]}
            for m in metrics
        ],
    }  # fmt: skip
    (RESULTS / f"{chapter}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "kept" / f"{chapter}.json").unlink(missing_ok=True)  # two may end at the same moment
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


def main():
    parser = argparse.ArgumentParser(
        description="Train every chapter's networks on several seeds; write what they reach."
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"of {', '.join(CHAPTERS)}; all without one")
    parser.add_argument("--runs", nargs="+", metavar="KEY", help="only these trainings; they are kept for a later call")
    options = parser.parse_args()
    reached = True
    for name in options.chapters or CHAPTERS:
        if name not in CHAPTERS:
            raise SystemExit(f"there is no chapter {name!r} here; there are {', '.join(CHAPTERS)}")
        record = measure(name, options.runs)
        for m in write(name, record) if record else ():
            wanted = m.wanted and f"to reach {m.wanted}: {'yes' if m.reached else 'NO'}"
            print(f"{name:14} {m.name:56} {m.mean:.4f}  {wanted}", flush=True)
            reached &= m.reached
    write_table()
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
