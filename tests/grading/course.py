"""A small course folder: four exercises of chapter 01 in a notebook of a dozen cells."""

import json
import shutil
from types import SimpleNamespace

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.exercises import convolution
from autograder.grading import grader, reading, submission
from autograder.grading.sandbox import Limits
from autograder.notebooks import KERNEL, ROOT
from course_lib.syllabus import chapter

CHAPTER = chapter("convolution")
QUICK = Limits(cell=1.5, notebook=40.0, memory=2**30, scratch=8 * 2**20)
RIGHT = {
    "output_size": """def output_size(size, filter_size, stride=1, padding=0):
    return (size + 2 * padding - filter_size) // stride + 1""",
    "conv2d": """def conv2d(x, f):
    FH, FW = f.shape
    OH, OW = output_size(x.shape[0], FH), output_size(x.shape[1], FW)
    y = np.zeros((OH, OW))
    for i in range(OH):
        for j in range(OW):
            y[i, j] = (x[i : i + FH, j : j + FW] * f).sum()
    return y""",
    "pad2d": """def pad2d(x, padding, value=0.0):
    *rest, H, W = x.shape
    padded = np.full((*rest, H + 2 * padding, W + 2 * padding), value, dtype=x.dtype)
    padded[..., padding : padding + H, padding : padding + W] = x
    return padded""",
    "receptive_field": """def receptive_field(layers):
    r, jump = 1, 1
    for K, S in layers:
        r, jump = r + (K - 1) * jump, jump * S
    return r""",
}
POINTS = {f"check_{name}": float(getattr(convolution, name).points) for name in RIGHT}
FULL = dict(POINTS)
LIMITED_CONFIG = """
c.GradeStep.cell_seconds = 2.0
c.GradeStep.notebook_seconds = 40.0
"""


def _nbgrader(grade_id, kind, *flags, points=None):
    values = {name: name in flags for name in ("grade", "solution", "locked", "task")}
    values |= {"schema_version": 3, "grade_id": grade_id, "cell_type": kind}
    return {"nbgrader": values | ({} if points is None else {"points": points})}


def source(exercises=tuple(RIGHT)):
    """The source notebook, with the solutions in it."""
    cells = [new_markdown_cell("# A small chapter")]
    setup = "import numpy as np\n\nfrom autograder.exercises import convolution as ex"
    cells.append(new_code_cell(setup, metadata={**_nbgrader("setup", "code", "locked"), "tags": ["setup"]}))
    demo = "raise RuntimeError('a demonstration is not run when grading')"
    cells.append(new_code_cell(demo, metadata={**_nbgrader("demo", "code", "locked"), "tags": ["demo"]}))
    for name in exercises:
        text = RIGHT[name]
        head, body = text.split("\n", 1)
        text = f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
        cells.append(new_code_cell(text, metadata=_nbgrader(name, "code", "solution")))
        metadata = _nbgrader(f"check_{name}", "code", "grade", "locked", points=POINTS[f"check_{name}"])
        cells.append(new_code_cell(f"ex.{name}.check({name})", metadata=metadata))
    metadata = _nbgrader("why_floor", "markdown", "grade", "solution", points=3)
    cells.append(new_markdown_cell("Because a filter that hangs over is not applied.", metadata=metadata))
    return nbformat.from_dict(new_notebook(cells=cells, metadata=KERNEL))


def handed_in(answers=None, before=(), after=(), exercises=tuple(RIGHT)):
    """A submission: the right answers but for those given, and cells of the student's own at the top and the end."""
    notebook = source(exercises)
    texts = RIGHT | {"why_floor": "The last step would hang over."} | (answers or {})
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in texts:
            cell.source = texts[name]
    top = 2
    notebook.cells[top:top] = [new_code_cell(text) for text in before]
    notebook.cells += [new_code_cell(text) for text in after]
    return notebook


def text_of(notebook):
    return nbformat.writes(notebook, version=4)


def job_of(notebook, student="student", limits=QUICK, secret=b"0" * 32):
    """What the grader is asked about a submission."""
    frame = source()
    data = notebook if isinstance(notebook, bytes) else text_of(notebook).encode()
    rebuilt = submission.rebuild(reading.parse(data), frame, {}).notebook
    preload = tuple(submission.preloads(frame))
    steps = tuple(submission.steps(rebuilt, frame))
    return grader.Job(CHAPTER.name, student, steps, preload, grader.student_secret(secret, student), limits)


def scores(record):
    return {name: judged["score"] for name, judged in record["checks"].items()}


def make(folder, config=LIMITED_CONFIG, exercises=tuple(RIGHT)):
    """A course folder with the small chapter released."""
    from nbgrader.apps.api import NbGraderAPI

    from autograder.grading import classroom

    folder.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + config)
    path = folder / "notebooks" / CHAPTER.folder / f"{CHAPTER.name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(source(exercises), path)
    done = NbGraderAPI(config=classroom._read_config(arguments(folder))).generate_assignment(CHAPTER.folder)
    if not done["success"]:
        raise RuntimeError(done["log"])
    return folder


def hand_in(course, student, notebook, name=None):
    """Put a notebook, text or bytes into a student's folder."""
    path = course / "submitted" / student / CHAPTER.folder / (name or f"{CHAPTER.name}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(notebook, bytes):
        path.write_bytes(notebook)
    else:
        path.write_text(notebook if isinstance(notebook, str) else text_of(notebook), encoding="utf-8")
    return path


def arguments(course, **options):
    """What the command line would give to ``grade``."""
    given = {"chapter": CHAPTER.name, "course": course, "students": "*", "workers": 0, "scheduler": None}
    given |= {"force": False, "public_cases": False, "unsandboxed": False}
    return SimpleNamespace(**given | options)


def grade(course, **options):
    """``python -m autograder grade``, in this process."""
    from autograder.grading import classroom

    return classroom.main(arguments(course, **options))


def copy(course, folder):
    shutil.copytree(course, folder)
    return folder


def dump(course, chapter):
    """What the gradebook says about a chapter, without the random ids of its rows: to compare two gradebooks."""
    from nbgrader.api import Gradebook

    rows = []
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for submission in gradebook.assignment_submissions(chapter.folder):
            for notebook in submission.notebooks:
                rows += [[submission.student.id, str(submission.timestamp), notebook.late_submission_penalty]]
                for grade in notebook.grades:
                    values = [grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade]
                    rows.append([submission.student.id, grade.name, *values])
                rows += [[submission.student.id, c.name, c.auto_comment, c.manual_comment] for c in notebook.comments]
    return sorted(map(json.dumps, rows))
