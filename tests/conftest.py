"""What several tests need."""

import importlib

import numpy as np
import pytest

from autograder.exercise import exercises_of
from autograder.notebooks import exercise_module
from course_lib.syllabus import CHAPTERS

EXERCISES = [
    pytest.param(exercise, chapter, id=f"{chapter.name}.{name}")
    for chapter in CHAPTERS
    for name, exercise in exercises_of(exercise_module(chapter)).items()
]


def right_answers(chapter, exercise):
    """The different right answers that the chapter's tests give for an exercise: ``RIGHT = {name: [answer, ...]}``."""
    return importlib.import_module(f"tests.test_{chapter.name}").RIGHT.get(exercise.name, [])


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name, so that a failure comes back when the test is run again."""
    return np.random.default_rng(list(request.node.name.encode()))
