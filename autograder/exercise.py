"""An exercise: a reference, named cases, a drive, a tolerance, and the mistakes that have a name.

An exercise module reads like this::

    @exercise(reference="course_lib.convolution:conv2d", points=3, hints=("How many positions ...?",))
    def conv2d(rng):
        '''Slide a filter over one image.'''
        yield case("the worked example", IMAGE_4x4, FILTER_3x3)
        yield case("a tall image", rng.normal(size=(7, 5)), rng.normal(size=(3, 3)))

    @conv2d.mistake("The filter is flipped: that is a true convolution; networks use cross-correlation.")
    def flipped(reference, x, f):
        return reference(x, f[::-1, ::-1])

and a notebook uses ``conv2d.check(answer)``, ``.hint()``, ``.solution()`` and ``.working(answer)``.
"""

import copy
import functools
import importlib
import inspect
import os
import zlib
from dataclasses import dataclass

import numpy as np

from autograder import progress, report
from autograder.answer import plain, run
from autograder.compare import Tolerance
from autograder.verdict import Case, judge


def case(name, *args, **kwargs):
    """A named input: ``case("a tall image", x, f, stride=2)`` calls the answer with ``(x, f, stride=2)``."""
    return Case(name, args, kwargs)


def call(answer, *args, **kwargs):
    """The default drive: the answer is a function, and its result is compared."""
    return answer(*args, **kwargs)


class CheckFailed(AssertionError):
    """What a failed check raises, so that nbgrader and its Validate button see a failed test.

    The report is already on the page; in a notebook this prints one line instead of a traceback.
    """

    def _render_traceback_(self):
        return [f"CheckFailed: {self}"]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that has a name.

    ``function(reference, *args)`` is what the author wrote; ``wrong(*args)`` is called as a student's answer is.
    """

    name: str
    message: str
    function: object
    wrong: object


@dataclass(frozen=True)
class Written:
    """A question answered in words or algebra and graded by hand; its text and marking scheme are in the notebook."""

    name: str
    points: float


class Exercise:
    """See the module's docstring. Made by :func:`exercise`."""

    def __init__(self, cases, reference, points, hints, drive, tolerance, may_write):
        self.name = cases.__name__
        self.module = cases.__module__
        self.task = inspect.getdoc(cases)
        self.points = points
        self.hints = tuple(hints)
        self.drive = drive
        self.tolerance = tolerance
        self.may_write = may_write
        self.mistakes = ()
        self._cases = cases
        self._reference = reference
        self._hints_shown = 0

    def __repr__(self):
        return f"<exercise {self.name}: check(answer), hint(), solution()>"

    # -- what the author writes ------------------------------------------------------------------------------------

    def mistake(self, message):
        """Decorator: the function ``(reference, *args, **kwargs)`` gives the result of a mistake with a name."""

        def register(function):
            wrong = functools.partial(_Lazily(self), function)
            self.mistakes += (Mistake(function.__name__, message, function, wrong),)
            return function

        return register

    # -- the pieces of a verdict -----------------------------------------------------------------------------------

    @property
    def reference(self):
        """The right answer, imported when it is first needed."""
        module, _, name = self._reference.partition(":")
        return functools.reduce(getattr, name.split("."), importlib.import_module(module))

    @property
    def public_seed(self):
        """The seed of the cases that students see: the same for everybody, another for each exercise."""
        return zlib.crc32(f"{self.module}.{self.name}".encode())

    def draw(self, seed=None):
        """The cases, drawn with ``seed`` (an int or a sequence of ints; default: the public one)."""
        return list(self._cases(np.random.default_rng(self.public_seed if seed is None else seed)))

    def apply(self, answer, case):
        """Drive an answer that is trusted (the reference, a mistake) on a copy of the case's arguments."""
        args, kwargs = copy.deepcopy((case.args, case.kwargs))
        return self.drive(answer, *args, **kwargs)

    def result(self, answer, case):
        """What a trusted answer makes of a case, as plain data. Computed once: a class may share a case."""
        if answer not in case.results:
            case.results[answer] = plain(self.apply(answer, case))
        return case.results[answer]

    def expected(self, case):
        """The right result, as plain data: the reference's, unless the case knows it."""
        return self.result(self.reference, case) if case.truth is None else plain(case.truth)

    def judge(self, answer, seed=None):
        """Run the answer on every case in this process and judge it.

        Returns
        -------
        Verdict
        """
        cases = self.draw(seed)
        return judge(self, cases, [run(self.drive, answer, case, self.may_write) for case in cases])

    # -- what the student calls ------------------------------------------------------------------------------------

    def check(self, answer):
        """Check an answer and show what was found.

        A passed check says so in one line. A failed one shows the smallest failing case and raises
        :class:`CheckFailed`. Under ``nbgrader autograde`` nothing is raised and the points earned are returned, a
        plain float between 0 and the exercise's points, which nbgrader records as partial credit.
        """
        verdict = self.judge(answer)
        report.show(verdict)
        if verdict.status != "not attempted":
            progress.record(self, "check", verdict.passed)
        nbgrader = os.environ.get("NBGRADER_EXECUTION")
        if nbgrader == "autograde":
            return verdict.score
        # An exercise that is not written yet does not stop a "Run All"; Validate must still see it.
        if verdict.passed or (verdict.status == "not attempted" and nbgrader is None):
            return None
        raise CheckFailed(f"{self.name}: {verdict.n_passed} of {len(verdict.results)} cases pass")

    def hint(self):
        """Show the next hint."""
        if self._hints_shown < len(self.hints):
            self._hints_shown += 1
            more = len(self.hints) - self._hints_shown
            after = f"{more} more: call hint() again" if more else f"the last one; then there is {self.name}.solution()"
            report.say(f"Hint {self._hints_shown} for {self.name}: {self.hints[self._hints_shown - 1]}", after)
            progress.record(self, "hint")
        else:
            self._hints_shown = 0
            report.say(f"No more hints for {self.name}.", "solution() shows one way to write it; hint() starts again")

    def solution(self):
        """Show the reference's code."""
        report.code(inspect.getsource(self.reference))
        progress.record(self, "solution")

    def working(self, answer):
        """The answer itself if it passes, otherwise the course's own function, so that later cells run.

        Says so when it is the course's: the cell waits for this exercise.
        """
        verdict = self.judge(answer)
        if verdict.passed:
            return answer
        why = "is not written yet" if verdict.status == "not attempted" else "does not pass its check yet"
        report.say(
            f"Your {self.name} {why}, so this cell uses the course's own.", "run it again afterwards to see yours"
        )
        return self.reference


class _Lazily:
    """Calls ``function(reference, ...)`` and looks the reference up only then."""

    def __init__(self, exercise):
        self.exercise = exercise

    def __call__(self, function, *args, **kwargs):
        return function(self.exercise.reference, *args, **kwargs)


def exercise(reference, points, hints=(), drive=call, tolerance=None, may_write=False):
    """Decorator that makes an :class:`Exercise` of a generator of cases.

    Parameters
    ----------
    reference : str
        Where the right answer is, as ``"package.module:name"``.
    points : int
        What the exercise is worth. nbgrader's cells and the syllabus take it from here.
    hints : sequence of str
        The first asks a question, the last one points.
    drive : callable
        ``drive(answer, *args, **kwargs)`` returns what is compared. Default: calls the answer.
    tolerance : Tolerance, optional
    may_write : bool
        Whether an answer may write into its arguments.
    """

    def make(cases):
        return Exercise(cases, reference, points, hints, drive, tolerance or Tolerance(), may_write)

    return make


def exercises_of(module):
    """The exercises of a chapter's module by name, in the order in which they are written."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}


def written_of(module):
    """The questions graded by hand of a chapter's module, by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Written)}


def only_exercises(namespace):
    """A module's ``__dir__`` that lists its exercises: what tab completion offers after ``ex.``."""

    def names():
        return [name for name, value in namespace.items() if isinstance(value, Exercise)]

    return names
