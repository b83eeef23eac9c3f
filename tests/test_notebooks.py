"""The source notebooks: clean, in step with the exercises, and running from top to bottom, solved and as released."""

import ast
import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

from autograder.exercise import exercises_of, written_of
from autograder.notebooks import ROOT, exercise_module, normalize, read, role, source_path, text_of, with_chapter_table
from autograder.workspace import complete
from course_lib.syllabus import CHAPTERS

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.folder)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    complete(folder)
    return folder


def execute(notebook, folder, allow_errors=False):
    """Run every cell in a fresh kernel, as Jupyter does, with short trainings where a notebook offers them.

    The notebooks assert a band of their own for the short training; ``make course`` runs the full ones.
    """
    os.environ.setdefault("COURSE_EPOCHS", "10")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two notebooks run at a time: more threads wait for each other
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        allow_errors=allow_errors,
        resources={"metadata": {"path": folder}},
    ).execute()
    return notebook


def text_outputs(cell):
    """What a cell shows, as text."""
    return "\n".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])
    )


@every_chapter
def test_source_is_what_normalize_writes(chapter):
    """No outputs, kernel python3, metadata and points as the exercises say."""
    path = source_path(chapter)
    notebook = read(path)
    normalize(notebook, exercise_module(chapter))
    assert text_of(notebook) == path.read_text(encoding="utf-8"), "run make notebooks"


@every_chapter
def test_source_is_valid_and_its_cell_ids_are_unique(chapter):
    notebook = read(source_path(chapter))
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


@every_chapter
def test_points_of_the_cells_are_those_of_the_exercises(chapter):
    cells = read(source_path(chapter)).cells
    points = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points for c in cells if role(c) in ("check", "answer")}
    module = exercise_module(chapter)
    expected = {f"check_{name}": exercise.points for name, exercise in exercises_of(module).items()}
    expected |= {name: written.points for name, written in written_of(module).items()}
    assert points == expected


@every_chapter
def test_every_check_follows_its_solution_and_takes_that_name(chapter):
    coded = [cell for cell in read(source_path(chapter)).cells if role(cell) in ("solution", "check")]
    solutions = [cell.metadata.nbgrader.grade_id for cell in coded if role(cell) == "solution"]
    checks = [cell.metadata.nbgrader.grade_id for cell in coded if role(cell) == "check"]
    assert checks == [f"check_{name}" for name in exercises_of(exercise_module(chapter))]
    assert set(solutions) >= {name.removeprefix("check_") for name in checks}


@every_chapter
def test_no_wildcard_imports_and_no_shell_commands(chapter):
    for cell in read(source_path(chapter)).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):  # magics do not parse
                assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*"), cell.source


@every_chapter
def test_every_picture_has_alternative_text(chapter):
    for cell in read(source_path(chapter)).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=)", cell.source), cell.source


@every_chapter
def test_solved_notebook_runs_and_every_check_passes(chapter, tmp_path):
    notebook = execute(read(source_path(chapter)), tmp_path)
    for cell in notebook.cells:
        if role(cell) == "check":
            assert "cases pass" in text_outputs(cell), cell.source
            assert text_outputs(cell).startswith("✓"), text_outputs(cell)
    stderr = [o.text for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert not [text for text in stderr if "it/s" not in text and "%|" not in text], stderr  # progress bars are fine


@every_chapter
def test_released_notebook_holds_no_solution_and_runs_unsolved(chapter, workspace):
    notebook = read(workspace / chapter.folder / f"{chapter.name}.ipynb")
    for cell in notebook.cells:
        assert "BEGIN SOLUTION" not in cell.source
        assert "MARK SCHEME" not in cell.source
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            assert "raise NotImplementedError" in cell.source
    execute(notebook, workspace / chapter.folder)  # no cell fails
    checks = [cell for cell in notebook.cells if role(cell) == "check"]
    assert len(checks) == len(exercises_of(exercise_module(chapter)))
    for cell in checks:
        assert re.search("not attempted yet|waits for .* which is not written yet", text_outputs(cell))
    everything = "\n".join(map(text_outputs, notebook.cells))
    assert "is not written yet, so this cell uses the course's own" in everything


def test_workspace_never_touches_what_is_there(workspace):
    notebook = workspace / CHAPTERS[0].folder / f"{CHAPTERS[0].name}.ipynb"
    before = notebook.read_bytes()
    notebook.write_bytes(before + b" ")
    assert complete(workspace) == []
    assert notebook.read_bytes() == before + b" "
    notebook.unlink()
    assert complete(workspace) == [notebook]
    assert notebook.read_bytes() == before


def test_readme_lists_the_chapters_of_the_syllabus():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_chapter_table(readme) == readme, "run make notebooks"
