"""The feedback page: what it says first, its pictures, and that it needs neither scripts nor the network."""

import json
import re

import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from traitlets.config import Config, PyFileConfigLoader

from autograder import demo
from autograder.grading import grader
from autograder.notebooks import ROOT
from autograder.teaching import feedback
from tests.grading import course as small
from tests.test_teaching_report import Page

FLIPPED = small.RIGHT["conv2d"].replace("* f)", "* f[::-1, ::-1])")
HOSTILE = r"$x<img src=y onerror=alert(1)>$ and $\text{<script>alert(1)</script>}$ and $\href{javascript:alert(1)}{x}$"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The feedback that nbgrader writes for a student who flips the filter and writes formulas with intent."""
    course = small.make(tmp_path_factory.mktemp("feedback") / "course")
    words = f"Because $i + FH \\le H$.\n\n{HOSTILE}\n\n<details><summary>More</summary> text</details>"
    small.hand_in(course, "ana", small.handed_in({"conv2d": FLIPPED, "why_floor": words}))
    assert small.grade(course) == 0
    grader.close()
    assert demo.nbgrader(course, "generate_feedback", small.CHAPTER.folder) == 0
    return written(course)


def written(course):
    path = course / "feedback" / "ana" / small.CHAPTER.folder / f"{small.CHAPTER.name}.html"
    return path.read_text(encoding="utf-8")


def test_what_a_person_has_graded_no_longer_waits(tmp_path):
    course = small.make(tmp_path / "course")
    small.hand_in(course, "ana", small.handed_in({"why_floor": "Because."}))
    assert small.grade(course) == 0
    grader.close()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("why_floor", small.CHAPTER.name, small.CHAPTER.folder, "ana")
        grade.manual_score, grade.needs_manual_grade = 2, False
        gradebook.db.commit()
    assert demo.nbgrader(course, "generate_feedback", small.CHAPTER.folder) == 0
    text = Page(written(course)).text
    assert "why floor 2 / 3 graded by hand" in text
    assert "so far" not in text[: text.index("A small chapter")]


def test_it_begins_with_the_points_and_what_is_wrong(page):
    text = Page(page).text
    top = text[: text.index("A small chapter")]
    assert "01 Convolution: your feedback" in top
    assert re.search(r"7\.43 of 13 points so far; what is not graded yet counts as 0", top)
    assert "output_size 2 / 2 all 10 cases pass" in top
    assert "1 of 7 cases pass · the first that does not: “one position”. The filter is flipped." in top
    assert "why floor – / 3 not graded yet: a person will read it" in top


def test_it_shows_the_report_with_its_pictures(page):
    report = page[page.index('id="check_conv2d"') :]
    assert "What it is:" in report
    for caption in ("yours", "expected", "yours − expected"):
        assert caption in report
    assert report.count("<table") >= 4


def test_it_loads_nothing_and_runs_nothing(page):
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert not {"link", "iframe", "object", "embed"} & set(parsed.tags)
    assert all(reference.startswith(("#", "data:")) for reference in parsed.references)
    assert not re.search(r"url\(|@import|cdnjs|unpkg", page)


def test_formulas_are_set_and_what_students_put_into_them_is_text(page):
    assert page.count("<math") >= 3
    parsed = Page(page)
    assert "img" not in parsed.tags
    assert not re.search(r"<[^>]*(onerror|javascript:)", page)


def test_plain_tags_of_the_lesson_work_again(page):
    assert "<details><summary>More</summary>" in page


@pytest.mark.parametrize(
    "formula",
    [r"\frac{a}{", r"\begin{matrix} 1 & 2", "{" * 3000, "x" * 6000, r"\undefinedcommand{x}", "", "a &lt; b", "\x00"],
)
def test_no_formula_stops_the_page(formula):
    set_ = feedback.mathml(formula, "inline")
    assert set_.startswith(("<math", "<code>"))


def test_every_formula_of_the_course_can_be_set():
    formulas = []
    for path in sorted((ROOT / "notebooks").glob("*/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                text = re.sub(r"`[^`]*`", "", "".join(cell["source"]))
                found = re.finditer(r"\$\$(.+?)\$\$|(?<!\$)\$([^$\n]+?)\$(?!\$)", text, re.DOTALL)
                formulas += [match[1] or match[2] for match in found]
    assert len(formulas) > 500
    assert not [formula for formula in formulas if feedback.mathml(formula, "inline").startswith("<code>")]


def test_the_formgrader_sets_formulas_without_mathjax_too():
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    exporter = HTMLExporter(config=Config(HTMLExporter=config.HTMLExporter))
    html, _ = exporter.from_notebook_node(new_notebook(cells=[new_markdown_cell("$x^2$")]))
    assert "<msup>" in html
