"""Progress: kept in a local file, never in the way of the lesson; and the start page that shows it."""

import csv
import json
import os

import nbformat
import numpy as np
import pytest

from autograder import progress, start
from autograder.exercise import CheckFailed, case, exercise
from autograder.workspace import release
from course_lib.syllabus import CHAPTERS


@exercise(reference="numpy:cumsum", points=3, hints=("what is a sum?",))
def running_sum(rng):
    """Running sums of a vector."""
    yield case("three numbers", np.array([1.0, 2.0, 4.0]))


def stub(x):
    raise NotImplementedError


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty workspace, and a kernel in the folder of one of its chapters."""
    folder = tmp_path / "01_convolution"
    folder.mkdir()
    (tmp_path / progress.NAME).touch()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(progress, "_waiting", [])
    monkeypatch.setattr(progress, "_said", False)
    return tmp_path


def events(workspace):
    return progress.read(workspace / progress.NAME)[0]


def fail():
    with pytest.raises(CheckFailed):
        running_sum.check(lambda x: x)


def test_checks_hints_and_solutions_are_kept_with_the_time_in_utc(workspace):
    fail()
    running_sum.hint()
    running_sum.hint()  # "no more hints" is none
    running_sum.check(np.cumsum)
    running_sum.solution()
    kept = events(workspace)
    assert [event["event"] for event in kept] == ["check", "hint", "check", "solution"]
    assert [event.get("passed") for event in kept] == [False, None, True, None]
    assert all(event["when"].endswith("Z") for event in kept)
    assert {event["exercise"] for event in kept} == {"running_sum"}


def test_what_is_not_an_attempt_is_not_kept(workspace, monkeypatch):
    running_sum.check(stub)
    running_sum.working(np.cumsum)
    running_sum.working(lambda x: x)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    running_sum.check(lambda x: x)
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    fail()
    assert events(workspace) == []


def test_where_there_is_no_workspace_nothing_is_kept(workspace):
    (workspace / progress.NAME).unlink()
    running_sum.check(np.cumsum)
    assert not (workspace / progress.NAME).exists()


def test_attempts_are_counted_up_to_the_first_that_passes(workspace):
    fail()
    fail()
    for _ in range(3):  # a "Run All" the next day is no attempt
        running_sum.check(np.cumsum)
    (one,) = progress.tally(events(workspace)).values()
    assert (one.attempts, one.passed, one.hints, one.solution) == (3, True, 0, False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_costs_one_message_and_nothing_else(workspace, capsys):
    path = workspace / progress.NAME
    path.unlink()
    path.symlink_to("/dev/full")
    running_sum.check(np.cumsum)
    running_sum.check(np.cumsum)
    said = capsys.readouterr().out
    assert said.count("could not be written (No space left on device)") == 1
    assert said.count("all 1 cases pass") == 2
    path.unlink()
    path.touch()
    running_sum.check(np.cumsum)
    assert len(events(workspace)) == 3  # those that had to wait are there too


def test_a_file_that_cannot_be_opened_costs_one_message(workspace, capsys):
    (workspace / progress.NAME).unlink()
    (workspace / progress.NAME).mkdir()
    running_sum.check(np.cumsum)
    assert "could not be written" in capsys.readouterr().out
    assert "cannot be read" in start.page(workspace).text


@pytest.mark.parametrize(
    "damage",
    [b"{", b"\xff\xfe\x00", b"[" * 100_000, b"null", b'{"event": "check"}', b'{"chapter": 1}', b'"text"'],
    ids=["half a line", "bytes", "nesting", "null", "half an event", "wrong types", "text"],
)
def test_corrupt_lines_are_counted_and_left_alone(workspace, damage):
    path = workspace / progress.NAME
    fail()
    path.write_bytes(path.read_bytes() + damage)  # without an end of line, as an interrupted write leaves it
    running_sum.check(np.cumsum)
    kept, corrupt = progress.read(path)
    assert [event["passed"] for event in kept] == [False, True]
    assert corrupt == 1
    assert damage in path.read_bytes()
    assert "1 line of it cannot be read" in start.page(workspace).text


def test_the_export_is_a_table(workspace, capsys):
    fail()
    running_sum.hint()
    progress.export(workspace / progress.NAME, workspace / "mine.csv")
    with open(workspace / "mine.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["exercise"], row["attempts"], row["passed"], row["hints"]) == ("running_sum", "1", "0", "1")


# -- the start page ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    release(CHAPTERS[:1], folder)
    return folder


def event(exercise, passed):
    fields = {"chapter": "convolution", "exercise": exercise, "event": "check", "passed": passed}
    return json.dumps(fields | {"when": "2026-01-01T00:00:00Z"}) + "\n"


def test_the_start_page_lists_every_chapter_and_goes_on_at_the_first_open_exercise(workspace, released):
    os.symlink(released, workspace / ".released")
    (workspace / progress.NAME).write_text(event("output_size", True) + event("conv2d", False))
    start.write(workspace)
    notebook = nbformat.read(workspace / "start.ipynb", as_version=4)
    nbformat.validate(notebook)
    page = notebook.cells[1].outputs[0].data
    for chapter in CHAPTERS:
        assert f'href="{chapter.folder}/{chapter.name}.ipynb' in page["text/html"]
    assert 'href="01_convolution/convolution.ipynb#cell-id=conv2d">go on with conv2d (1 attempt)' in page["text/html"]
    assert "1 of 8 exercises pass · 2 of 25 points" in page["text/plain"]
    ids = [cell.id for cell in nbformat.read(released / "01_convolution/convolution.ipynb", as_version=4).cells]
    assert "conv2d" in ids


def test_the_start_page_is_made_anew_by_its_cell(workspace, released, monkeypatch):
    os.symlink(released, workspace / ".released")
    start.write(workspace)
    monkeypatch.chdir(workspace)
    (workspace / progress.NAME).write_text(event("output_size", True))
    namespace = {}
    exec(start.CODE.replace("start.page()", "shown = start.page()"), namespace)
    assert "1 of 8 exercises pass" in namespace["shown"].text


def test_a_chapter_whose_checks_all_pass_says_so(workspace, released):
    os.symlink(released, workspace / ".released")
    names = start._lines(workspace, {})[0].points
    (workspace / progress.NAME).write_text("".join(event(name, True) for name in names))
    assert "every check passes" in start.page(workspace).text


def test_without_any_progress_the_page_says_where_it_would_be_kept(tmp_path):
    assert "there is no progress.jsonl here" in start.page(tmp_path).text
