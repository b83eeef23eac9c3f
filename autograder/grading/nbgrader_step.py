"""nbgrader's own ``autograde``, with the verdict made by ``grader``. Named in ``nbgrader_config.py``.

``SubmissionExporter`` reads a submission in place of nbgrader's strict reader, ``GradeStep`` stands where nbgrader has
``Execute``, and ``prepare`` runs before each submission. Everything else is nbgrader's: the gradebook, manual grades,
late penalties, feedback, the formgrader.
"""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbconvert.exporters import NotebookExporter
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.preprocessors import SaveAutoGrades as OneCommitPerCell
from traitlets import Bool, Float, Int, Unicode

from autograder import NotReady
from autograder.grading import grader, reading, records, submission
from autograder.grading.reading import Unreadable
from autograder.grading.sandbox import Limits
from course_lib import syllabus


def prepare(assignment, student, notebooks):
    """nbgrader's hook before a submission: see that the right file is looked for, and nothing is followed out of it.

    Links are removed from the submission: nbgrader would copy what they point to into the feedback.
    """
    for folder in {Path(notebook).parent for notebook in notebooks}:
        for path in folder.rglob("*"):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                path.unlink()
        expected = folder / f"{syllabus.chapter(folder.name).name}.ipynb"
        if str(expected) not in notebooks:
            notebooks[:] = [str(expected)]


def locate(path):
    """The file that was handed in as this notebook, perhaps under another name.

    Raises
    ------
    Unreadable
        If there is none.
    """
    if os.path.lexists(path):
        return path
    folder = Path(path).parent
    found = [file for file in sorted(folder.glob("*")) if ".ipynb" in file.name or file.suffix == ".json"]
    readable = []
    for file in found:
        try:
            reading.read(file)
        except Unreadable:
            continue
        readable.append(file)
    if not (readable or found):
        raise Unreadable("no notebook was handed in")
    return str((readable or found)[0])


@functools.lru_cache(maxsize=8)
def _parsed(path, changed):
    return nbformat.read(path, as_version=4)


def source_notebook(coursedir, assignment, notebook):
    """The trusted source of a notebook."""
    path = os.path.join(coursedir.format_path(coursedir.source_directory, ".", assignment), f"{notebook}.ipynb")
    return _parsed(path, os.stat(path).st_mtime_ns)


class Released(NamedTuple):
    """A cell as it was released: what the gradebook knows of it."""

    text: str
    locked: bool
    checksum: str
    points: float | None


def released_assignment(gradebook, assignment):
    """The gradebook's entry of an assignment.

    Raises
    ------
    NotReady
        If there is none.
    """
    try:
        return gradebook.find_assignment(assignment)
    except MissingEntry:
        where = gradebook.engine.url.database
        raise NotReady(f"{assignment} is not in {where}; run: nbgrader generate_assignment {assignment}") from None


def released_cells(db_url, assignment, notebook):
    """The released cells of a notebook, by id."""
    with Gradebook(db_url) as gradebook:
        released_assignment(gradebook, assignment)
        found = gradebook.find_notebook(notebook, assignment)
        points = {cell.name: cell.max_score for cell in (*found.grade_cells, *found.task_cells)}
        return {
            cell.name: Released(cell.source, cell.locked, cell.checksum, points.get(cell.name))
            for cell in found.source_cells
        }


def repaired(path, source, released, log):
    """A submission as a well-formed notebook, with a word to the student where something had to be done.

    What is locked is as it was released; checksums and points are the gradebook's.

    Returns
    -------
    (NotebookNode, str)
        The notebook, and why the file could not be read (empty: it could).
    """
    problem = ""
    stubs = {name: cell.text for name, cell in released.items()}
    try:
        located = locate(path)
        result = submission.rebuild(reading.read(located), source, stubs)
        if Path(located).name != Path(path).name:
            result.notes.insert(0, f"The file was called {Path(located).name}; it is graded as {Path(path).name}.")
    except Unreadable as error:
        problem = str(error)
        result = submission.rebuild([], source, stubs)
        result.notes = [f"This notebook could not be graded: {problem}. Please hand in the notebook file itself."]
    for cell in result.notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in released:
            cell.metadata.nbgrader["checksum"] = released[name].checksum
            if released[name].points is not None:
                cell.metadata.nbgrader["points"] = released[name].points
            if released[name].locked:
                cell["source"] = released[name].text
        elif name is not None:
            log.error("the cell %s is not in the gradebook: release the chapter again", name)
            del cell.metadata["nbgrader"]
    if result.notes:
        text = "**From the grader**\n\n" + "\n".join(f"- {reading.inert(note)}" for note in result.notes)
        note = {"cell_type": "markdown", "id": "from-the-grader", "metadata": {}, "source": text}
        result.notebook.cells.insert(0, nbformat.from_dict(note))
    result.notebook.metadata["unreadable"] = problem
    return result.notebook, problem


class SubmissionExporter(NotebookExporter):
    """Reads any file as a notebook of the course; the second time, when it is our own, as it stands."""

    def from_filename(self, filename, resources=None, **kwargs):
        self.optimistic_validation = True  # once, when everything is done
        if not self.parent._sanitizing:
            return super().from_filename(filename, resources=resources, **kwargs)
        about = resources["nbgrader"]
        source = source_notebook(self.parent.coursedir, about["assignment"], about["notebook"])
        released = released_cells(about["db_url"], about["assignment"], about["notebook"])
        notebook, problem = repaired(filename, source, released, self.log)
        if problem:
            self.log.error("%s: %s", filename, problem)
        return nbformat.writes(notebook) + "\n", self._init_resources(resources)


class GradeStep(NbGraderPreprocessor):
    """In place of ``Execute``: the outputs of a submission's cells, its scores among them, come from the grader."""

    sandboxed = Bool(True, help="False: run submissions without any confinement").tag(config=True)
    public_cases = Bool(False, help="grade on the cases that students see, as stock nbgrader does").tag(config=True)
    cell_seconds = Float(30.0, help="wall clock of one cell or one case").tag(config=True)
    notebook_seconds = Float(300.0, help="wall clock of one submission").tag(config=True)
    memory = Int(3 * 2**30, help="bytes a submission may use on top of the loaded packages").tag(config=True)
    folder = Unicode(".grading", help="where the class secret and the verdicts are kept").tag(config=True)

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        coursedir = self.parent.parent.coursedir
        source = source_notebook(coursedir, about["assignment"], about["notebook"])
        if nb.metadata.pop("unreadable", ""):
            blank(nb)
            return nb, resources
        store = self.store(coursedir)
        job = self.job(store, about["assignment"], about["student"], nb, source)
        known = store.load(about["assignment"], about["student"])
        record = grader.grade(job, known)
        if record.keys() != known.keys() or any(record[part] != known[part] for part in ("checks", "outputs")):
            store.save(about["assignment"], about["student"], record)
        write_outputs(nb, job.steps, record, self.log)
        return nb, resources

    def store(self, coursedir):
        """Where verdicts are kept."""
        return records.Store(Path(coursedir.root) / self.folder)

    def job(self, store, assignment, student, nb, source):
        """What the grader is asked."""
        return grader.Job(
            chapter=syllabus.chapter(assignment).name,
            student=student,
            steps=tuple(submission.steps(nb, source)),
            preload=tuple(submission.preloads(source)),
            secret=None if self.public_cases else grader.student_secret(store.secret(), student),
            limits=Limits(cell=self.cell_seconds, notebook=self.notebook_seconds, memory=self.memory),
            sandboxed=self.sandboxed,
        )


def blank(nb):
    """Zero for every check of a file that could not be read."""
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "0.0"}, execution_count=1)]


def write_outputs(nb, steps, record, log):
    """Put what the grader found into the notebook: plain text from the student's cells, reports and scores from us."""
    for count, step in enumerate(steps, 1):
        cell = nb.cells[step.position]
        cell.outputs, cell.execution_count = [], count
        if step.kind == "run":
            cell.outputs = _printed(record["outputs"][str(step.position)])
        elif step.kind == "check" and step.name in record["checks"]:
            judged = record["checks"][step.name]
            shown = {"text/plain": judged["text"], "text/html": judged["html"]}
            score = {"text/plain": repr(float(judged["score"]))}  # nbgrader reads the first result as the points
            cell.outputs = [
                nbformat.v4.new_output("display_data", shown),
                nbformat.v4.new_output("execute_result", score, execution_count=count),
            ]
        elif step.kind == "check":
            log.error("%s checks no exercise of the chapter: it gets no points", step.name)
            message = f"{step.name} checks no exercise of the chapter"
            cell.outputs = [nbformat.v4.new_output("error", ename="Error", evalue=message, traceback=[message])]


def _printed(output):
    shown = []
    if output["printed"]:
        shown.append(nbformat.v4.new_output("stream", name="stdout", text=output["printed"]))
    if output["failed"]:
        name, _, message = output["failed"].partition(": ")
        lines = [output["failed"]]
        shown.append(nbformat.v4.new_output("error", ename=name, evalue=message, traceback=lines))
    return shown


class SaveAutoGrades(OneCommitPerCell):
    """nbgrader's own, with one transaction for a notebook: its scores are all in the gradebook or none is."""

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        self.notebook_id, self.assignment_id = about["notebook"], about["assignment"]
        self.student_id, self.db_url = about["student"], about["db_url"]
        with Gradebook(self.db_url) as self.gradebook:
            session = self.gradebook.db()
            commit, session.commit = session.commit, session.flush
            try:
                for cell in nb.cells:
                    self.preprocess_cell(cell, resources, 0)
            finally:
                session.commit = commit
            session.commit()
        return nb, resources
