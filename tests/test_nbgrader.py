"""nbgrader's own commands on a small class: release, autograde, validate, feedback, and the scores that come out."""

import subprocess
import sys

import pytest

from autograder import demo
from autograder.exercise import exercises_of
from autograder.notebooks import exercise_module, read, role, source_path
from course_lib.syllabus import chapter as find

CHAPTER = find("convolution")
FLIPPED = "mistake_conv2d_flipped"
CLASS = ("honest", "half_done", "not_attempted", FLIPPED, "mistake_conv2d_nchw_channels_averaged", "broken_file")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder with a released chapter and a small class, graded and with feedback."""
    course = tmp_path_factory.mktemp("course")
    demo.prepare(course, CHAPTER)
    for student in (course / "submitted").iterdir():
        if student.name not in CLASS:
            for path in sorted(student.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            student.rmdir()
    demo.nbgrader(course, "autograde", CHAPTER.folder)
    assert demo.nbgrader(course, "generate_feedback", CHAPTER.folder) == 0
    return course


def test_scores_of_the_class_are_exactly_what_they_should_be(course):
    table = demo.scores(course, CHAPTER)
    full = {"check_output_size": 2, "check_conv2d": 3, "check_pad2d": 2, "check_conv2d_strided": 4, "check_im2col": 4,
            "check_conv2d_nchw": 4, "check_conv_matrix": 3, "check_receptive_field": 3}  # fmt: skip
    by_hand = {"why_floor": None}
    assert table["honest"] == full | by_hand
    # the first four of eight exercises; the unanswered question is worth nothing without anybody looking at it
    half = {name: points if k < 4 else 0 for k, (name, points) in enumerate(full.items())}
    assert table["half_done"] == half | {"why_floor": 0}
    assert table["not_attempted"] == dict.fromkeys(full, 0) | {"why_floor": 0}
    # a flipped filter passes one case of seven, the filter of one pixel
    assert table[FLIPPED] == full | by_hand | {"check_conv2d": 0.43}
    # averaging over channels shows where there is more than one channel: 2 of the 6 cases drawn for a student have one
    assert table["mistake_conv2d_nchw_channels_averaged"] == full | by_hand | {"check_conv2d_nchw": 1.33}


def test_a_broken_file_harms_nobody_and_is_reported(course):
    assert set(demo.scores(course, CHAPTER)) >= set(CLASS) - {"broken_file"}
    assert "broken_file" in (course / "nbgrader.log").read_text()


def test_feedback_names_the_mistake_and_holds_no_traceback_of_ours(course):
    page = course / "feedback" / FLIPPED / CHAPTER.folder / f"{CHAPTER.name}.html"
    text = page.read_text(encoding="utf-8")
    assert "The filter is flipped. That is a true convolution" in text
    assert "autograder/exercise.py" not in text


def test_every_mistake_of_the_made_up_class_is_a_valid_submission():
    """Each one is a cell of Python that defines the exercise's function and fails as the mistake does."""
    source = read(source_path(CHAPTER))
    namespace = {}
    for cell in source.cells:
        if role(cell) in ("setup", "solution"):
            exec(cell.source, namespace)
    for name, exercise in exercises_of(exercise_module(CHAPTER)).items():
        solution = next(
            c.source for c in source.cells if role(c) == "solution" and c.metadata.nbgrader.grade_id == name
        )
        for mistake in exercise.mistakes:
            student = dict(namespace)
            exec(demo.mistaken(solution, name, mistake), student)
            assert exercise.judge(student[name]).mistake is mistake


@pytest.mark.parametrize(("student", "says"), [("honest", "Success!"), (FLIPPED, "VALIDATION FAILED ON 1 CELL")])
def test_validate_agrees(course, student, says):
    notebook = course / "submitted" / student / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "validate", str(notebook)], cwd=course, capture_output=True, text=True
    )
    assert says in done.stdout, done.stdout + done.stderr
