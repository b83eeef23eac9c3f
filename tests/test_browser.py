"""The course as students and instructors meet it: JupyterLab in Chromium, from the start page to the feedback.

``COURSE_PICTURES=FOLDER`` keeps a picture of each step.
"""

import argparse
import re
import shutil

import pytest

from autograder import demo, workspace
from autograder.grading.sandbox import unavailable
from autograder.notebooks import read, role, source_path, text_of
from autograder.progress import NAME
from autograder.progress import read as read_progress
from course_lib.syllabus import CHAPTERS
from tests import jupyterlab

pytestmark = pytest.mark.skipif(jupyterlab.CHROMIUM is None, reason="there is no chromium on this machine")

FIRST = CHAPTERS[0]
NOTEBOOK = f"{FIRST.folder}/{FIRST.name}.ipynb"
FLIPPED = """def conv2d(x, f):
    FH, FW = f.shape
    y = np.zeros((x.shape[0] - FH + 1, x.shape[1] - FW + 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + FH, j : j + FW] * f[::-1, ::-1]).sum()
    return y
"""
RIGHT = FLIPPED.replace("[::-1, ::-1]", "")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=jupyterlab.CHROMIUM, args=["--no-sandbox"] * jupyterlab.ROOT_USER
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """A student's workspace, everything answered in chapter 01 but conv2d."""
    folder = tmp_path_factory.mktemp("room") / "workspace"
    workspace.main(argparse.Namespace(folder=folder, update=False))
    source = read(source_path(FIRST))
    answers = {
        cell.metadata.nbgrader.grade_id: "\n".join(line for line in cell.source.split("\n") if "SOLUTION" not in line)
        for cell in source.cells
        if role(cell) == "solution"
    }
    answers = {name: answer for name, answer in answers.items() if name != "conv2d"} | demo.written_answers(source)
    path = folder / NOTEBOOK
    path.write_text(text_of(demo.answered(path, answers)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def exchange(tmp_path_factory, room):
    """Where nbgrader hands out and takes in, and the configuration that both sides have for it."""
    place = tmp_path_factory.mktemp("exchange")
    (place / "config").mkdir()
    (place / "exchange").mkdir()
    (place / "exchange").chmod(0o777)  # nbgrader asks for that
    (place / "config" / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        "c.CourseDirectory.course_id = 'deep-learning'\n"
        f"c.Exchange.root = {str(place / 'exchange')!r}\n"
        f"c.Exchange.cache = {str(place / 'cache')!r}\n"
    )
    return place


@pytest.fixture(scope="session")
def student(room, exchange, tmp_path_factory):
    """The address of a student's JupyterLab."""
    with jupyterlab.server(room, "student", tmp_path_factory.mktemp("home"), exchange / "config") as address:
        yield address


def faults(lab):
    """What went wrong in the page, and the errors that the notebook's cells show."""
    shown = [
        f"{output['ename']}: {output['evalue']}"
        for cell in lab.notebook()["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "error"
    ]
    return lab.errors + shown


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.folder)
def test_a_chapter_opens_and_its_first_cells_run(chapter, browser, student, room):
    path = f"{chapter.folder}/{chapter.name}.ipynb"
    first = [cell.id for cell in read(room / path).cells if cell.cell_type == "code"][:3]
    with jupyterlab.page(browser, student) as lab:
        lab.open(path)
        lab.run(*first)
        lab.picture(f"chapter-{chapter.folder}")
        assert not faults(lab)
        lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def test_from_the_start_page_to_the_feedback(browser, student, room, exchange, tmp_path):
    with jupyterlab.page(browser, student) as lab:
        open_from_the_start_page(lab)
        move_a_slider(lab)
        make_a_mistake_and_correct_it(lab, room)
        look_at_the_progress(lab)
        validate(lab)
        if unavailable():
            pytest.skip(f"the rest needs the sandbox: {unavailable()}")
        course = release(tmp_path, exchange)
        submit(lab)
        grade(browser, course, exchange, tmp_path)
        read_the_feedback(lab, room)


def open_from_the_start_page(lab):
    lab.open("start.ipynb")
    lab.page.locator(".jp-OutputArea a", has_text=FIRST.title).first.click()
    lab.ready(NOTEBOOK)
    lab.menu("Run", "Run All Cells")
    lab.ran()
    assert not faults(lab)
    lab.picture("1-run-all")


def move_a_slider(lab):
    """With the keyboard; the picture follows."""
    cell = next(c for c in lab.notebook()["cells"] if "explore.slide(library.conv2d" in "".join(c["source"]))
    output = lab.select(cell["id"])
    output.get_by_text("y[0, 0] =").wait_for()
    output.get_by_role("slider").first.focus()
    lab.page.keyboard.press("ArrowRight")
    output.get_by_text("y[0, 1] =").wait_for()
    lab.picture("2-slider")


def make_a_mistake_and_correct_it(lab, room):
    lab.write("conv2d", FLIPPED)
    lab.run("conv2d", "check-conv2d")
    lab.select("check-conv2d").get_by_text("The filter is flipped. That is a true convolution").wait_for()
    lab.picture("3-mistake")
    lab.write("conv2d", RIGHT)
    lab.run("conv2d", "check-conv2d")
    lab.select("check-conv2d").get_by_text(re.compile(r"conv2d · all \d cases pass")).wait_for()
    lab.picture("4-corrected")
    lab.save()
    kept = [event["passed"] for event in read_progress(room / NAME)[0] if event["exercise"] == "conv2d"]
    assert kept == [False, True]


def look_at_the_progress(lab):
    lab.page.locator(".lm-TabBar-tab", has_text="start.ipynb").first.click()
    lab.ready("start.ipynb")
    lab.run("chapters")
    lab.page.locator(".jp-OutputArea:visible").get_by_text("every check passes").wait_for()
    lab.picture("5-progress")
    lab.page.locator(".lm-TabBar-tab", has_text=f"{FIRST.name}.ipynb").first.click()
    lab.ready(NOTEBOOK)


def validate(lab):
    """With nbgrader's button, which runs the notebook anew."""
    lab.page.locator("jp-button:visible", has_text="Validate").click()
    lab.page.get_by_text("Success! Your notebook passes all the tests.").wait_for()
    lab.picture("6-validated")
    lab.page.locator(".jp-Dialog button", has_text="OK").click()


def release(place, exchange):
    """The instructor releases the chapter."""
    course = place / "course"
    demo.prepare(course, FIRST)
    shutil.rmtree(course / "submitted")
    with open(course / "nbgrader_config.py", "a") as config:
        config.write((exchange / "config" / "nbgrader_config.py").read_text())
    assert demo.nbgrader(course, "release_assignment", FIRST.folder) == 0, (course / "nbgrader.log").read_text()
    return course


def submit(lab):
    lab.menu("Nbgrader", "Assignment List")
    assignments = lab.page.locator("#fetched_assignments_list")
    assignments.get_by_role("button", name="Submit").click()
    lab.page.locator("#submitted_assignments_list").get_by_text(FIRST.folder).first.wait_for()
    lab.picture("7-submitted")


def grade(browser, course, exchange, place):
    """Collect, grade and give feedback, all from the formgrader."""
    with (
        jupyterlab.server(course, "instructor", place / "home", exchange / "config") as teacher,
        jupyterlab.page(browser, teacher) as lab,
    ):
        lab.page.goto(f"{teacher}/formgrader/manage_assignments")
        press(lab, ".collect a", "Successfully collected")
        lab.page.goto(f"{teacher}/formgrader/manage_submissions/{FIRST.folder}")
        press(lab, ".autograde a", "Successfully autograded")
        lab.page.locator(".score", has_text="25 / 28").wait_for()
        lab.page.locator(".status", has_text="needs manual grading").wait_for()
        lab.picture("8-graded")
        press(lab, ".generate-feedback a", "Successfully generated feedback")
        press(lab, ".release-feedback a", "Successfully released feedback")


def press(lab, button, says):
    """One of the formgrader's buttons, and the dialog that it ends with."""
    lab.page.locator(button).first.click()
    dialog = lab.page.locator(".modal.in")
    dialog.get_by_text(re.compile("Success|Error")).first.wait_for()
    assert says in dialog.inner_text()
    dialog.get_by_role("button", name="OK").click()
    dialog.wait_for(state="hidden")


def read_the_feedback(lab, room):
    lab.page.locator("#submitted_assignments_list").get_by_role("button", name="Fetch Feedback").first.click()
    lab.page.locator("#submitted_assignments_list").get_by_text("view feedback").first.wait_for()
    lab.picture("9-feedback-fetched")
    (page,) = (room / FIRST.folder / "feedback").rglob("*.html")
    lab.page.goto(page.as_uri())
    lab.page.get_by_text(re.compile(r"conv2d · all \d+ cases pass")).first.wait_for()
    assert "25 of 28 points" in lab.page.locator(".total").inner_text()
    lab.picture("10-feedback")
    assert not lab.errors
