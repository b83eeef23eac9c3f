"""Whatever is handed in is graded for what it is worth, and nothing that was handed in stops the grader."""

import glob
import json
import os

import nbformat
import nbgrader
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from autograder.grading import grader, reading, submission
from autograder.grading.reading import Unreadable
from tests.grading.course import FULL, RIGHT, handed_in, job_of, scores, source, text_of


@pytest.fixture(scope="module", autouse=True)
def _end_the_sandboxes():
    yield
    grader.close()


def index(notebook, grade_id):
    return next(
        k for k, c in enumerate(notebook.cells) if c.metadata.get("nbgrader", {}).get("grade_id", None) == grade_id
    )


def deleted_check(notebook):
    del notebook.cells[index(notebook, "check_conv2d")]


def deleted_everything_but_the_answers(notebook):
    notebook.cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]


def duplicated(notebook):
    k = index(notebook, "conv2d")
    notebook.cells.insert(k, nbformat.from_dict(notebook.cells[k]))


def duplicated_with_an_old_version_above(notebook):
    k = index(notebook, "conv2d")
    copy = nbformat.from_dict(notebook.cells[k])
    copy.source = "def conv2d(x, f):\n    return 0"
    notebook.cells.insert(k, copy)


def split_in_the_middle_of_the_function(notebook):
    k = index(notebook, "conv2d")
    lines = notebook.cells[k].source.split("\n")
    tail = nbformat.from_dict(notebook.cells[k])  # JupyterLab copies the metadata to both halves
    notebook.cells[k].source, tail.source = "\n".join(lines[:5]), "\n".join(lines[5:])
    notebook.cells.insert(k + 1, tail)


def split_without_metadata(notebook):
    k = index(notebook, "conv2d")
    lines = notebook.cells[k].source.split("\n")
    notebook.cells[k].source = "\n".join(lines[:1])
    notebook.cells.insert(k + 1, new_code_cell("\n".join(lines[1:])))


def retyped(notebook):
    k = index(notebook, "conv2d")
    notebook.cells[k] = new_markdown_cell(notebook.cells[k].source, metadata=notebook.cells[k].metadata)


def check_retyped_as_raw(notebook):
    k = index(notebook, "check_conv2d")
    notebook.cells[k] = new_raw_cell(notebook.cells[k].source, metadata=notebook.cells[k].metadata)


def reversed_order(notebook):
    notebook.cells = notebook.cells[::-1]


def answers_at_the_end(notebook):
    answers = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    notebook.cells = [c for c in notebook.cells if not any(c is a for a in answers)] + answers


def renamed(notebook):
    notebook.cells[index(notebook, "conv2d")].metadata.nbgrader["grade_id"] = "my_conv2d"


def without_nbgrader_metadata(notebook):
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)


def without_any_metadata(notebook):
    for cell in notebook.cells:
        cell["metadata"] = {}
    notebook["metadata"] = {}


def rewritten_check(notebook):
    cell = notebook.cells[index(notebook, "check_conv2d")]
    cell.source = "pass"
    cell.metadata.nbgrader["points"] = 1000


def metadata_of_the_wrong_kind(notebook):
    places = [index(notebook, name) for name in ("setup", "check_pad2d", "check_conv2d")]
    for place, value in zip(places, ("hello", ["a", {"b": 1}], {"grade_id": 17}), strict=True):
        notebook.cells[place].metadata["nbgrader"] = value


REPAIRS = [
    deleted_check,
    deleted_everything_but_the_answers,
    duplicated,
    duplicated_with_an_old_version_above,
    split_in_the_middle_of_the_function,
    split_without_metadata,
    retyped,
    check_retyped_as_raw,
    reversed_order,
    answers_at_the_end,
    renamed,
    without_nbgrader_metadata,
    without_any_metadata,
    rewritten_check,
    metadata_of_the_wrong_kind,
]


@pytest.mark.parametrize("change", REPAIRS, ids=lambda change: change.__name__)
def test_a_damaged_notebook_keeps_all_its_points(change):
    notebook = handed_in()
    change(notebook)
    text = json.dumps(notebook).encode()
    assert scores(grader.grade(job_of(text))) == FULL


def test_a_deleted_answer_costs_that_answer():
    notebook = handed_in()
    del notebook.cells[index(notebook, "conv2d")]
    assert scores(grader.grade(job_of(notebook))) == FULL | {"check_conv2d": 0.0}


def test_an_empty_copy_below_the_answer_is_left_out():
    notebook = handed_in()
    k = index(notebook, "conv2d")
    copy = nbformat.from_dict(notebook.cells[k])
    copy.source = stub = "def conv2d(x, f):\n    raise NotImplementedError"
    notebook.cells.insert(k + 1, copy)
    repaired = submission.rebuild(reading.parse(text_of(notebook).encode()), source(), {"conv2d": stub})
    assert sum("def conv2d" in cell.source for cell in repaired.notebook.cells) == 1
    assert any("empty copy" in note for note in repaired.notes)


def test_an_untouched_notebook_is_not_repaired():
    repaired = submission.rebuild(reading.parse(text_of(handed_in()).encode()), source(), {})
    assert repaired.notes == []
    texts = [cell.source for cell in repaired.notebook.cells]
    assert [cell.source for cell in handed_in().cells if "nbgrader" not in cell.metadata][0] in texts
    nbformat.validate(repaired.notebook)


def test_the_students_own_cells_run_where_they_stand():
    record = grader.grade(job_of(handed_in(before=["THREE = 3"], after=["print(THREE, conv2d.__name__)"])))
    assert scores(record) == FULL
    assert record["outputs"][max(record["outputs"], key=int)]["printed"] == "3 conv2d\n"


def test_a_written_answer_without_metadata_is_found():
    notebook = handed_in()
    notebook.cells[-1]["metadata"] = {}
    repaired = submission.rebuild(reading.parse(text_of(notebook).encode()), source(), {}).notebook
    [answer] = [c for c in repaired.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "why_floor"]
    assert answer.source == "The last step would hang over."


def test_a_notebook_of_format_three_is_read():
    cells = []
    for cell in handed_in().cells:
        text, metadata = cell.source, dict(cell.metadata)
        if cell.cell_type == "code":
            cells.append(
                {"cell_type": "code", "input": [text], "language": "python", "outputs": [], "metadata": metadata}
            )
        else:
            cells.append({"cell_type": "markdown", "source": [text], "metadata": metadata})
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    assert scores(grader.grade(job_of(json.dumps(old).encode()))) == FULL


def test_a_notebook_of_a_format_to_come_is_read():
    notebook = json.loads(text_of(handed_in()))
    notebook |= {"nbformat": 5, "nbformat_minor": 99, "new": {"things": [1]}}
    for cell in notebook["cells"]:
        cell["sidebar"] = {"x": 1}
    assert scores(grader.grade(job_of(json.dumps(notebook).encode()))) == FULL


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00\xff\xfe", b"{", b"[]", b"null", b'"x"', b'{"cells": 3}', b"[" * 100_000, b'{"worksheets": [3]}x',
        text_of(handed_in())[:2000].encode(), b'{"cells": [' + b"{}," * 3000 + b"{}]}",
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_notebook_is_refused_with_a_reason(data):
    with pytest.raises(Unreadable, match=r"\w+ \w+"):
        reading.parse(data)


def test_cells_of_any_shape_are_read():
    cells = [3, None, {}, {"cell_type": 3}, {"source": {"a": 1}}, {"source": [1, "x", None]}, {"metadata": []}]
    cells += [{"cell_type": "code", "source": "\ud800\x00\x1b[31m", "metadata": {"nbgrader": {"grade_id": "conv2d"}}}]
    cells += [
        {"cell_type": "markdown", "attachments": {"x.png": {'image/png" onerror="x': "AAAA", "image/png": "AA=="}}}
    ]
    data = json.dumps({"cells": cells}).encode()
    repaired = submission.rebuild(reading.parse(data), source(), {}).notebook
    nbformat.validate(repaired)
    text = nbformat.writes(repaired)
    text.encode("utf-8")
    assert "\\u001b" not in text and "onerror" not in text
    assert scores(grader.grade(job_of(data))) == dict.fromkeys(FULL, 0.0)


def test_html_in_markdown_is_inert_and_formulas_are_not_touched():
    text = "<script>alert(1)</script> $a < b$ <img src=x onerror=alert(1)> a<b <!-- x --> 1 <2"
    shown = reading.inert(text)
    assert "<script" not in shown and "<img" not in shown and "<!--" not in shown
    assert "$a < b$" in shown and "1 <2" in shown
    for link in ("[x](javascript:a)", "[x]( javascript:a)", "[x](&#106;avascript:a)", "[x]: javascript:a"):
        assert link not in reading.inert(link) and "\N{ZERO WIDTH SPACE}" in reading.inert(link)
    for kept in (
        "[x](https://x.org/a)",
        "![x](attachment:a.png)",
        "$\\frac{1}{2}$",
        "a list: [1, 2]",
        "[x]: http://x.org",
    ):
        assert reading.inert(kept) == kept
    assert "\\href" not in reading.inert(r"$\href{javascript:a}{x}$")


def test_a_link_and_a_special_file_are_not_read(tmp_path):
    real = tmp_path / "real.ipynb"
    real.write_text(text_of(handed_in()))
    (tmp_path / "link.ipynb").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in ("link.ipynb", "pipe.ipynb", "missing.ipynb"):
        with pytest.raises(Unreadable):
            reading.read(tmp_path / name)
    assert len(reading.read(real)) == len(handed_in().cells)


FIXTURES = sorted(glob.glob(os.path.join(os.path.dirname(nbgrader.__file__), "tests", "**", "*.ipynb"), recursive=True))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: os.path.relpath(path, os.path.dirname(nbgrader.__file__)))
def test_nbgraders_own_fixtures_pass_through(path):
    """Handed in as our chapter: no exception of ours, and no point."""
    with open(path, "rb") as file:
        data = file.read()
    job = job_of(data)
    record = grader.grade(job)
    assert scores(record) == dict.fromkeys(FULL, 0.0)
    assert len(record["outputs"]) == sum(step.kind == "run" for step in job.steps)


def test_there_are_fixtures_to_try():
    assert len(FIXTURES) > 50
    assert {"infinite-loop-with-output.ipynb", "too-new.ipynb"} <= {os.path.basename(path) for path in FIXTURES}
    assert set(RIGHT) == {name.removeprefix("check_") for name in FULL}
