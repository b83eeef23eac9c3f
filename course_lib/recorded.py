"""Results: what a notebook reaches while it is read, and what was measured before.

Means over seeds take longer than a reader waits; ``make metrics`` writes them into ``benchmarks/results/``.
"""

import json
from pathlib import Path

from course_lib import tables

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


class Recorded:
    """What was measured for a chapter: a table in a notebook, and ``mean("name of a metric")``.

    Parameters
    ----------
    chapter : str

    Raises
    ------
    FileNotFoundError
        If nothing has been recorded for it.
    """

    def __init__(self, chapter):
        path = RESULTS / f"{chapter}.json"
        if not path.exists():
            raise FileNotFoundError(f"nothing is recorded for chapter {chapter!r}; make metrics measures it")
        self.result = json.loads(path.read_text(encoding="utf-8"))

    def mean(self, name):
        """The mean of one metric over its seeds."""
        return next(m["mean"] for m in self.result["metrics"] if m["name"] == name)

    def cells(self):
        """Header and lines as text."""
        lines = [(m["name"], f"{m['mean']:.3f}", "  ".join(f"{value:.3f}" for value in m["values"]))
                 for m in self.result["metrics"]]  # fmt: skip
        return ("recorded", "mean", "each seed"), lines

    def _repr_html_(self):
        on = f"<div style='font-size:85%;opacity:.85'>{self.result['minutes']} minutes on {self.result['on']}</div>"
        return tables.listing(*self.cells(), total=False) + on

    def __repr__(self):
        return "\n".join("  ".join(line) for line in self.cells()[1])


def reached(what, value, at_least=None, at_most=None):
    """Print a result and the band that it must lie in; ``make course`` collects these lines.

    Parameters
    ----------
    what : str
    value : float
    at_least, at_most : float, optional

    Raises
    ------
    ValueError
        If the value lies outside, or is not a number.
    """
    bounds = (("at least", at_least), ("at most", at_most))
    expected = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
    print(f"reached: {what} {value:.4g}" + (f" (expected: {expected})" if expected else ""))
    high_enough = at_least is None or value >= at_least  # false for nan, as it should be
    if not (high_enough and (at_most is None or value <= at_most)):
        raise ValueError(
            f"{what} is {value:.4g}, and {expected} is expected. If you changed a cell above, restart the "
            "kernel and run all cells once more as they were"
        )
