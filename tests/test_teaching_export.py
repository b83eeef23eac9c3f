"""Scores for Canvas and Moodle, from a real gradebook."""

import csv
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from nbgrader.api import Gradebook

from autograder import NotReady
from autograder.teaching import export

STUDENTS = {  # id: (first name, last name, score, late penalty); None: nothing handed in
    "00123": ("Zoë", "O'Brien, Jr.", 7.5, None),
    "00124": ('Chevy "The Man"', "Chase", 9.0, 2.25),
    "late": ("李", "小龙", 3.0, 5.0),
    "absent": ("Ann", "Absent", None, None),
    "=1+1": ("=cmd|'/c calc'!A1", "@SUM(A1)", 4.0, None),
    "bare": (None, None, 1.0, None),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course folder whose gradebook holds these students' scores of chapter 01."""
    tmp_path = tmp_path_factory.mktemp("course")
    (tmp_path / "submitted").mkdir()
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}", "course") as gradebook:
        for name in ("01_convolution", "02_pooling"):
            gradebook.add_assignment(name)
            notebook = name[3:]
            gradebook.add_notebook(notebook, name)
            gradebook.add_grade_cell("check", notebook, name, max_score=10, cell_type="code")
        for student, (first, last, score, penalty) in STUDENTS.items():
            known = {"first_name": first, "last_name": last, "email": f"{student}@school.edu"}
            gradebook.add_student(student, **known, lms_user_id="77" if student == "00123" else None)
            if score is not None:
                gradebook.add_submission("01_convolution", student)
                submitted = gradebook.find_submission_notebook("convolution", "01_convolution", student)
                submitted.late_submission_penalty = penalty
                gradebook.find_grade("check", "convolution", "01_convolution", student).auto_score = score
                gradebook.db.commit()
    return tmp_path


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def run(course, to, **options):
    given = {"chapter": "1", "to": to, "output": course / f"{to}.csv", "missing": None, "course": course}
    assert export.main(SimpleNamespace(**given | options)) == 0
    return rows(course / f"{to}.csv")


def test_canvas_gets_its_columns_the_points_possible_and_a_row_for_each_submission(course):
    head, possible, *students = run(course, "canvas")
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_convolution"]
    assert possible == ["    Points Possible", "", "", "", "", "10.0"]
    found = {row[2]: row for row in students}
    assert found["00123"] == ["O'Brien, Jr., Zoë", "77", "00123", "", "", "7.5"]
    assert found["00124"] == ['Chase, Chevy "The Man"', "", "00124", "", "", "6.75"]
    assert found["bare"] == ["bare", "", "bare", "", "", "1.0"]
    assert "absent" not in found, "an empty cell would remove a grade"


def test_moodle_gets_identifying_columns_and_a_column_for_the_chapter(course):
    head, *students = run(course, "moodle")
    assert head == ["First name", "Last name", "ID number", "Email address", "01_convolution"]
    found = {row[2]: row for row in students}
    assert found["00124"] == ['Chevy "The Man"', "Chase", "00124", "00124@school.edu", "6.75"]
    assert found["late"] == ["李", "小龙", "late", "late@school.edu", "0.0"], "a penalty takes no more than there is"
    assert len(found) == 5


@pytest.mark.parametrize("to", ["canvas", "moodle"])
def test_no_cell_can_be_computed_by_a_spreadsheet(course, to):
    cells = [cell for row in run(course, to) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'=1+1" in cells


@pytest.mark.parametrize("to", ["canvas", "moodle"])
def test_missing_submissions_can_be_written_as_zero(course, to):
    table = run(course, to, missing="zero")
    assert [row[-1] for row in table if "absent" in row] == ["0.0"]
    assert len(table) == len(STUDENTS) + (2 if to == "canvas" else 1)


def test_what_the_file_does_not_hold_is_said(course, capsys):
    folder = course / "submitted" / "new" / "01_convolution"
    folder.mkdir(parents=True)
    (folder / "convolution.ipynb").write_text("{}")
    try:
        run(course, "canvas")
    finally:
        shutil.rmtree(folder.parent)
    said = capsys.readouterr()
    assert "5 scores of at most 10 points" in said.out
    assert "handed in but not graded (left out); run: python -m autograder grade 01_convolution" in said.err
    assert "2 of 7 students have a late penalty" in said.err
    assert "1 of 7 students have an id like a formula" in said.err


@pytest.mark.parametrize(("exporter", "head"), [("CanvasExport", "Student"), ("MoodleExport", "First name")])
def test_nbgrader_export_writes_the_same_through_its_plugins(course, exporter, head):
    words = ["export", f"--exporter=autograder.teaching.export.{exporter}", "--assignment=['01_convolution']"]
    words += ["--to=file.csv", f"--CourseDirectory.root={course}"]
    done = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows(course / "file.csv") == run(course, "canvas" if head == "Student" else "moodle")
    assert "looks like a formula" in done.stderr


def test_canvas_can_look_for_login_names_instead(course):
    plugin = export.CanvasExport(to=str(course / "login.csv"), id_column="SIS Login ID", student=["00123"])
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        plugin.export(gradebook)
    head, possible, student = rows(course / "login.csv")
    assert head[5:] == ["01_convolution", "02_pooling"]
    assert student == ["O'Brien, Jr., Zoë", "77", "", "00123", "", "7.5", ""]


def test_an_assignment_that_the_gradebook_does_not_know_is_refused(course):
    plugin = export.MoodleExport(assignment=["03_conv_layer"])
    with (
        Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook,
        pytest.raises(ValueError, match="no assignment 03_conv_layer"),
    ):
        plugin.export(gradebook)
    arguments = SimpleNamespace(chapter="3", to="canvas", output=None, missing=None, course=course)
    with pytest.raises(NotReady, match="run: nbgrader generate_assignment 03_conv_layer"):
        export.main(arguments)
