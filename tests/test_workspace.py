"""The student's folder: a new release comes in and nothing that a student wrote goes away."""

import argparse
import copy
import os
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder import merge, workspace
from autograder.notebooks import read, text_of
from course_lib.syllabus import CHAPTERS

CHAPTER = CHAPTERS[0]
ANSWER = "def conv2d(x, f):\n    return 'mine'"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Chapter 01 as released."""
    folder = tmp_path_factory.mktemp("released")
    workspace.release([CHAPTER], folder)
    return read(folder / CHAPTER.folder / f"{CHAPTER.name}.ipynb")


@pytest.fixture
def base(released):
    return copy.deepcopy(released)


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name or c.id == name)


def position(notebook, name):
    return notebook.cells.index(cell(notebook, name))


def sources(notebook):
    return [c.source for c in notebook.cells]


@pytest.fixture
def mine(base):
    """A student's copy: one exercise and one question answered, a cell added, some cells run."""
    mine = copy.deepcopy(base)
    cell(mine, "conv2d").source = ANSWER
    cell(mine, "why_floor").source = "Because the filter has to fit."
    mine.cells.insert(position(mine, "conv2d") + 1, new_code_cell("conv2d(X, F)  # my own trial"))
    cell(mine, "setup_ddf98b88").execution_count = 3
    return mine


@pytest.fixture
def new(base):
    """The next release: text, a figure's code and a check changed, a cell added, an exercise gone."""
    new = copy.deepcopy(base)
    new.cells[0].source += "\n\nA new sentence."
    cell(new, "check_conv2d").source = "ex.conv2d.check(conv2d)  # new"
    cell(new, "demo_ed1872d7").source += "\n# new"
    new.cells.insert(position(new, "check_conv2d") + 1, new_markdown_cell("Something to read."))
    for name in ("pad2d", "check_pad2d"):
        new.cells.remove(cell(new, name))
    return new


def test_a_new_release_brings_everything_new_and_keeps_what_the_student_wrote(mine, base, new):
    merged, changes = merge.merge(mine, base, new)
    nbformat.validate(merged)
    assert cell(merged, "conv2d").source == ANSWER
    assert cell(merged, "why_floor").source == "Because the filter has to fit."
    for name in (new.cells[0].id, "check_conv2d", "demo_ed1872d7"):
        assert cell(merged, name).source == cell(new, name).source
    assert "pad2d" not in [c.metadata.get("nbgrader", {}).get("grade_id") for c in merged.cells]
    assert (changes.added, changes.changed, changes.removed, changes.answers, changes.own) == (1, 3, 2, 2, 1)
    at = position(merged, "conv2d")
    assert sources(merged)[at + 1 : at + 4] == [
        "conv2d(X, F)  # my own trial",
        "ex.conv2d.check(conv2d)  # new",
        "Something to read.",
    ]


def test_a_second_update_changes_nothing(mine, base, new):
    merged, _ = merge.merge(mine, base, new)
    for before in (new, base, None):  # also if the first was interrupted before its base was written
        again, _ = merge.merge(merged, before, new)
        assert merge.same(again, merged)


def test_the_answer_to_an_exercise_that_is_gone_is_kept_as_the_students_own(mine, base, new):
    cell(mine, "pad2d").source = "def pad2d(x, padding):\n    return 'mine too'"
    merged, changes = merge.merge(mine, base, new)
    kept = next(c for c in merged.cells if "mine too" in c.source)
    assert "nbgrader" not in kept.metadata and kept.metadata.get("deletable", True)
    assert changes.own == 2


def test_an_answer_stays_although_its_starting_code_changed_and_it_is_said(mine, base, new):
    cell(new, "conv2d").source = cell(new, "conv2d").source.replace("(x, f)", "(x, f, bias)")
    merged, changes = merge.merge(mine, base, new)
    assert cell(merged, "conv2d").source == ANSWER
    assert "the starting code of conv2d is another now" in str(changes)


def test_an_exercise_that_is_not_answered_gets_the_new_starting_code(mine, base, new):
    cell(new, "im2col").source += "\n# new"
    merged, _ = merge.merge(mine, base, new)
    assert cell(merged, "im2col").source.endswith("# new")


def test_without_the_base_every_answer_stays(mine, new):
    cell(mine, "pad2d").source = "def pad2d(x, padding):\n    return 'mine too'"
    merged, _ = merge.merge(mine, None, new)
    assert cell(merged, "conv2d").source == ANSWER
    assert any("mine too" in source for source in sources(merged))
    assert "conv2d(X, F)  # my own trial" in sources(merged)
    assert cell(merged, "check_conv2d").source.endswith("# new")


def test_text_that_student_and_release_both_changed_is_there_twice(mine, base, new):
    mine.cells[0].source += "\n\nMy note."
    merged, _ = merge.merge(mine, base, new)
    assert merged.cells[0].source == new.cells[0].source
    assert merged.cells[1].source.endswith("My note.")
    untouched = next(k for k, c in enumerate(new.cells) if c.cell_type == "markdown" and k > 0)
    cell(mine, new.cells[untouched].id).source += "\n\nMy note here."
    merged, _ = merge.merge(mine, base, new)
    assert sum("My note here." in source for source in sources(merged)) == 1


def test_pictures_of_cells_that_did_not_change_stay(mine, base, new):
    output = nbformat.v4.new_output("execute_result", {"text/plain": "6.0"})
    for name in ("setup_ddf98b88", "demo_ed1872d7"):
        cell(mine, name).outputs = [output]
    merged, _ = merge.merge(mine, base, new)
    assert cell(merged, "setup_ddf98b88").outputs == [output]
    assert cell(merged, "demo_ed1872d7").outputs == []


def test_text_that_the_student_deleted_stays_deleted_and_a_deleted_check_comes_back(mine, base, new):
    text = next(c for c in mine.cells[1:] if c.cell_type == "markdown")
    mine.cells.remove(text)
    mine.cells.remove(cell(mine, "check_im2col"))
    merged, _ = merge.merge(mine, base, new)
    assert text.source not in sources(merged)
    assert position(merged, "check_im2col") == position(merged, "im2col") + 1


def test_cells_are_recognised_although_a_program_gave_them_other_ids(mine, base, new):
    for k, c in enumerate(mine.cells):
        c["id"] = f"other{k}"
    merged, changes = merge.merge(mine, base, new)
    assert changes.own == 2  # the student's own, and the text that the release changed: nobody can tell
    assert cell(merged, "conv2d").source == ANSWER


def test_a_copy_of_an_answer_is_kept_beside_it(mine, base, new):
    twin = copy.deepcopy(cell(mine, "conv2d"))
    twin["id"] = "twin"
    twin.source = "def conv2d(x, f):\n    return 'second thought'"
    mine.cells.insert(position(mine, "conv2d"), twin)
    merged, _ = merge.merge(mine, base, new)
    assert {ANSWER, twin.source} <= set(sources(merged))
    nbformat.validate(merged)


# -- the folder ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, base, monkeypatch):
    """A workspace with one chapter, whose source can be changed."""
    sources = tmp_path / "notebooks"
    path = sources / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(text_of(base))
    monkeypatch.setattr(workspace, "CHAPTERS", [CHAPTER])
    monkeypatch.setattr(workspace, "source_path", lambda chapter: path)
    monkeypatch.setattr(workspace, "release", lambda chapters, to: shutil.copytree(sources, to, dirs_exist_ok=True))
    folder = tmp_path / "workspace"
    workspace.complete(folder)
    return folder


def run(folder, update=False):
    return workspace.main(argparse.Namespace(folder=folder, update=update))


def write(path, notebook):
    path.write_text(text_of(notebook))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def test_an_update_is_offered_then_taken_and_leaves_a_backup(folder, mine, new, capsys):
    path = folder / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    write(path, mine)
    assert run(folder) == 0
    assert "has every chapter" in capsys.readouterr().out
    write(workspace.source_path(CHAPTER), new)
    before = path.read_bytes()
    run(folder)
    assert path.read_bytes() == before  # nobody answers: nothing happens
    said = capsys.readouterr().out
    assert "update of 01_convolution: cells: 1 new, 3 changed, 2 gone; 2 answers and 1 cell of yours stay" in said
    assert "make update" in said
    run(folder, update=True)
    assert cell(read(path), "conv2d").source == ANSWER
    assert cell(read(path), "check_conv2d").source.endswith("# new")
    (backup,) = (folder / "backups").rglob("*.ipynb")
    assert backup.read_bytes() == before
    capsys.readouterr()
    updated = path.read_bytes()
    run(folder, update=True)
    assert path.read_bytes() == updated
    assert "has every chapter" in capsys.readouterr().out
    assert len(list((folder / "backups").rglob("*.ipynb"))) == 1


def test_a_source_that_is_only_newer_offers_nothing(folder, base, capsys):
    write(workspace.source_path(CHAPTER), base)
    run(folder)
    assert "update" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "<<<<<<< HEAD"])
def test_a_notebook_that_cannot_be_read_is_left_alone_with_a_message(folder, new, capsys, text):
    path = folder / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    path.write_text(text)
    write(workspace.source_path(CHAPTER), new)
    assert run(folder, update=True) == 0
    assert path.read_text() == text
    assert "cannot be read" in capsys.readouterr().err


def test_a_workspace_from_before_there_were_updates_gets_them(folder, mine, new):
    path = folder / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    write(path, mine)
    shutil.rmtree(folder / ".released")
    write(workspace.source_path(CHAPTER), new)
    run(folder, update=True)
    assert cell(read(path), "conv2d").source == ANSWER
    assert cell(read(path), "check_conv2d").source.endswith("# new")
