"""What several tests need."""

import importlib
import os
import sys

import numpy as np
import pytest

from autograder.exercise import exercises_of
from autograder.notebooks import exercise_module
from course_lib.syllabus import CHAPTERS

# nbgrader starts alembic and jupyter by name: they must be found although the environment is not activated.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])

EXERCISES = [
    pytest.param(exercise, chapter, id=f"{chapter.name}.{name}")
    for chapter in CHAPTERS
    for name, exercise in exercises_of(exercise_module(chapter)).items()
]


def right_answers(chapter, exercise):
    """The different right answers that the chapter's tests give for an exercise: ``RIGHT = {name: [answer, ...]}``."""
    return importlib.import_module(f"tests.test_{chapter.name}").RIGHT.get(exercise.name, [])


def pytest_collection_modifyitems(items):
    """Where submissions cannot be confined (no bubblewrap, not Linux) the tests of grading are skipped and say why.

    In CI they are not: there, a missing sandbox is a failure.

    ``pytest -n 2`` (what ``make test`` does) gives each worker whole groups: a notebook, a chapter's exercises, or a
    module, whose fixtures then exist once.
    """
    from autograder.grading.sandbox import unavailable

    for item in items:
        chapter = getattr(item, "callspec", None) and item.callspec.params.get("chapter")
        name = item.module.__name__
        item.add_marker(pytest.mark.xdist_group(f"{name}-{chapter.name}" if chapter else name))
    if unavailable() and not os.environ.get("CI"):
        for item in items:
            if item.module.__name__.startswith(("tests.test_grading", "tests.test_nbgrader", "tests.test_teaching")):
                item.add_marker(pytest.mark.skip(reason=unavailable()))


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name, so that a failure comes back when the test is run again."""
    return np.random.default_rng(list(request.node.name.encode()))
