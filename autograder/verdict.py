"""Judge what an answer did on every case: passed, failed, raised or not attempted, and which mistake it is."""

from dataclasses import dataclass, field, replace

import numpy as np

from autograder.answer import Outcome
from autograder.compare import Difference, agree, difference


@dataclass(frozen=True)
class Case:
    """A named input. ``args`` and ``kwargs`` are what the answer is called with.

    ``truth`` is the right result where it is known without the reference, such as the labels of hidden images. It stays
    with the grader: only ``args`` and ``kwargs`` are given to the answer.
    """

    name: str
    args: tuple
    kwargs: dict
    truth: object = None
    known: bool = False  # set by a grader: everybody has this case, so its result can be learnt by heart
    results: dict = field(default_factory=dict, repr=False)  # what the reference and the mistakes make of it

    def expecting(self, truth):
        """The same case with its right result known."""
        return replace(self, truth=truth)


@dataclass(frozen=True)
class CaseResult:
    """One case, what the answer did, what was expected, and how the two differ (None: they do not)."""

    case: Case
    outcome: Outcome
    expected: object
    difference: Difference | None

    @property
    def passed(self):
        return self.outcome.raised is None and not self.outcome.overwritten and self.difference is None


@dataclass(frozen=True)
class Verdict:
    """The judgement of one answer.

    ``status`` is ``pass``, ``fail``, ``raised`` or ``not attempted``; ``mistake`` is the known mistake whose results
    are the student's, if there is one.
    """

    exercise: object
    results: tuple[CaseResult, ...]
    status: str
    mistake: object = None

    @property
    def passed(self):
        return self.status == "pass"

    @property
    def n_passed(self):
        return sum(result.passed for result in self.results)

    @property
    def first_failure(self):
        """The first case that does not pass: cases come smallest first, so it is a small counterexample."""
        return next((result for result in self.results if not result.passed), None)

    @property
    def score(self):
        """The points earned: those of the exercise times the share of cases passed, a plain float with two decimals.

        A case that everybody has can take points away but not earn any: the share is no larger than that of the cases
        drawn for this student, if any were.
        """
        share = self.n_passed / len(self.results)
        drawn = [result.passed for result in self.results if not result.case.known]
        if drawn:
            share = min(share, sum(drawn) / len(drawn))
        return round(float(self.exercise.points) * share, 2)


def judge(exercise, cases, outcomes):
    """Compare outcomes with the reference.

    Parameters
    ----------
    exercise : Exercise
    cases : sequence of Case
    outcomes : sequence of Outcome
        What the answer did on each case, see :func:`autograder.answer.run`.

    Returns
    -------
    Verdict
    """
    results = []
    for case, outcome in zip(cases, outcomes, strict=True):
        expected = exercise.expected(case)
        found = None if outcome.raised else difference(outcome.value, expected, exercise.tolerance)
        results.append(CaseResult(case, outcome, expected, found))
    results = tuple(results)
    failures = [result for result in results if not result.passed]
    if not failures:
        return Verdict(exercise, results, "pass")
    if all(_not_attempted(result.outcome) for result in results):
        return Verdict(exercise, results, "not attempted")
    status = "raised" if failures[0].outcome.raised else "fail"
    return Verdict(exercise, results, status, _name_mistake(exercise, results))


def _not_attempted(outcome):
    """A stub of the release still stands: the answer's own, or that of an earlier exercise which the answer calls."""
    return outcome.raised is not None and outcome.raised.kind == "NotImplementedError"


def _name_mistake(exercise, results):
    """The mistake whose results are the student's wherever these are wrong; of several, the one that agrees most."""
    failures = [result for result in results if not result.passed]
    # A wrong guess mostly shows on the first case: the rest is not computed.
    able = [m for m in exercise.mistakes if all(_is_result_of(m, exercise, failure) for failure in failures)]
    if len(able) < 2:
        return able[0] if able else None
    others = [result for result in results if result.passed]
    return max(able, key=lambda m: sum(_is_result_of(m, exercise, result) for result in others))


def _is_result_of(mistake, exercise, result):
    """Whether ``mistake`` does on this case what the student's answer did."""
    if result.outcome.overwritten:
        return False
    try:
        with np.errstate(all="ignore"):
            value = exercise.result(mistake.wrong, result.case)
    except Exception:  # a wrong answer may well raise on some case; then the student's must have raised as well
        return result.outcome.raised is not None
    return result.outcome.raised is None and agree(result.outcome.value, value, exercise.tolerance)
