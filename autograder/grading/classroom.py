"""``python -m autograder grade CHAPTER``: a whole class, in parallel, with one writer to the gradebook.

Verdicts are made by Dask workers: processes of this machine by default, of any machines with ``--scheduler``. As each
comes in, its record is kept and nbgrader's own ``autograde`` runs for that one submission, in this process; it finds
the verdict in the record and only writes. What is finished is noted last, so that whenever this is stopped, even by
``kill -9``, the same command goes on: a submission without that note is written again from its record.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path

from autograder import NotReady
from course_lib import syllabus


def configure(parser):
    parser.add_argument("chapter", help="name, number or folder")
    parser.add_argument("--students", default="*", help="a name or a pattern (default: everybody who handed in)")
    parser.add_argument("--workers", type=int, default=None, help="processes on this machine; 0: this one only")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://10.0.0.1:8786")
    parser.add_argument("--force", action="store_true", help="write every submission anew, from its record if it holds")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
    parser.add_argument("--public-cases", action="store_true", help="the cases that students see, not secret ones")
    parser.add_argument("--unsandboxed", action="store_true", help="run submissions without any confinement")


def main(arguments):
    """Grade a chapter; 0 if every submission was graded."""
    from autograder.grading import sandbox

    if not arguments.unsandboxed and sandbox.unavailable():
        print(sandbox.unavailable(), "or, knowing what that means, add --unsandboxed", sep="\n", file=sys.stderr)
        return 2
    return Classroom(arguments).grade()


class Classroom:
    """One chapter's submissions in one course folder.

    What has not changed is found out without importing nbgrader, which takes longer than a class of such submissions.
    """

    def __init__(self, arguments):
        from autograder.grading import records

        self.arguments = arguments
        self.chapter = syllabus.chapter(arguments.chapter)
        self.config = _read_config(arguments)
        self.root = Path(self.config.CourseDirectory.root)
        self.store = records.Store(self.root / self.config.GradeStep.get("folder", ".grading"))
        self.failed = []

    def folder(self, kind, student):
        """A folder of the course: ``kind`` is ``submitted``, ``autograded`` or ``source``."""
        options = self.config.CourseDirectory
        structure = options.get(
            "directory_structure", os.path.join("{nbgrader_step}", "{student_id}", "{assignment_id}")
        )
        step = options.get(f"{kind}_directory", kind)
        return self.root / structure.format(nbgrader_step=step, student_id=student, assignment_id=self.chapter.folder)

    def source_file(self):
        """The chapter's source notebook, with which everything begins: without it, this is hardly a course's folder."""
        path = self.folder("source", ".") / f"{self.chapter.name}.ipynb"
        if not path.exists():
            raise NotReady(f"{path} is missing: is {self.root} the folder of the course?")
        return path

    def students(self):
        """Who has handed this chapter in, without those whom the configuration excludes."""
        pattern = self.folder("submitted", self.arguments.students).relative_to(self.root)
        depth = self.folder("submitted", "\0").relative_to(self.root).parts.index("\0")
        found = {path.relative_to(self.root).parts[depth] for path in self.root.glob(str(pattern)) if path.is_dir()}
        return sorted(found - set(self.config.CourseDirectory.get("student_id_exclude", "").split(",")))

    def grade(self):
        """Grade and write whatever is not finished; 0 if every submission was graded."""
        from autograder.grading import cluster

        students = self.students()
        if not students:
            raise NotReady(f"nothing is handed in as {self.folder('submitted', self.arguments.students)}")
        todo = self.unfinished(students)
        if todo:
            workers = self.arguments.workers
            workers = cluster.default_workers(len(todo)) if workers is None else workers
            with cluster.workers(workers, self.arguments.scheduler) as client:
                status = self._grade(todo, client)
            if status:
                return status
        for student, why in self.failed:
            print(f"{student}: not graded: {why}", file=sys.stderr)
        return 1 if self.failed else 0

    def _grade(self, todo, client):
        from tqdm import tqdm

        from autograder.grading import cluster
        from autograder.grading.sandbox import SandboxUnavailable

        with contextlib.ExitStack() as stack:
            self.prepare(stack)
            bar = stack.enter_context(tqdm(total=len(todo), unit="notebook", desc=self.chapter.folder))
            try:
                for student, record in cluster.run(client, self.jobs(todo), self.failed):
                    self.write(student, record, todo[student])
                    bar.update()
            except SandboxUnavailable as problem:
                print(problem, file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print("\nstopped; what is finished is kept, and the same command goes on", file=sys.stderr)
                return 130
        return 0

    # ---- what is finished ----

    def unfinished(self, students):
        """The students whose submission is not graded as it stands, with the state that is then noted."""
        states = {student: self.state(student) for student in students}
        if self.arguments.force:
            return states
        written = self.gradebook_scores()
        unfinished = {}
        for student, state in states.items():
            done = self.store.load(self.chapter.folder, student).get("done")
            now = {"state": state, "scores": written.get(student), "autograded": self.fingerprint(student)}
            if done != now:
                unfinished[student] = state
        return unfinished

    def state(self, student):
        """A hash of what was handed in and of all that decides about it."""
        from autograder.grading import records

        if not hasattr(self, "_settings"):
            code = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
            meaning = records.meaning_of(self.chapter.name)
            environment = records.environment(self.chapter.name)
            options = sorted(self.config.GradeStep.items())
            self._settings = records.digest(environment, meaning, options, self.source_file().read_bytes(), *code)
        parts = []
        for path in sorted(self.folder("submitted", student).rglob("*")):
            if path.is_file() and not path.is_symlink():
                parts += [path.name, path.read_bytes()]
        return records.digest(self._settings, *parts)

    def fingerprint(self, student):
        """What tells whether the graded notebook is the one that was written."""
        try:
            status = (self.folder("autograded", student) / f"{self.chapter.name}.ipynb").stat()
        except FileNotFoundError:
            return None
        return [status.st_size, status.st_mtime_ns]

    def gradebook_scores(self, student=None):
        """The automatic scores in the gradebook, of everybody or of one: ``{student: {cell: score}}``."""
        import sqlalchemy

        url = self.config.CourseDirectory.get("db_url", f"sqlite:///{self.root / 'gradebook.db'}")
        engine = sqlalchemy.create_engine(url)
        query = (
            "SELECT submitted_assignment.student_id, base_cell.name, grade.auto_score FROM submitted_assignment"
            " JOIN assignment ON assignment.id = submitted_assignment.assignment_id AND assignment.name = :chapter"
            " JOIN submitted_notebook ON submitted_notebook.assignment_id = submitted_assignment.id"
            " JOIN grade ON grade.notebook_id = submitted_notebook.id JOIN base_cell ON base_cell.id = grade.cell_id"
        )
        if student is not None:
            query += " WHERE submitted_assignment.student_id = :student"
        found = {}
        try:
            if sqlalchemy.inspect(engine).has_table("grade"):
                with engine.connect() as connection:
                    values = {"chapter": self.chapter.folder, "student": student}
                    for name, cell, score in connection.execute(sqlalchemy.text(query), values):
                        found.setdefault(name, {})[cell] = score
        finally:
            engine.dispose()
        return found

    # ---- verdicts ----

    def prepare(self, stack):
        """Import nbgrader and read what all submissions share."""
        # jsonschema builds forty grammars for addresses, which no notebook has, wherever it finds this package: half
        # of the time that importing nbgrader takes. Without it, it leaves that format unchecked.
        sys.modules.setdefault("rfc3987_syntax", None)
        from nbgrader.converters import Autograde
        from nbgrader.coursedir import CourseDirectory

        from autograder.grading import nbgrader_step

        self.source_file()  # before nbgrader makes a gradebook where there is none
        self.coursedir = CourseDirectory(config=self.config)
        stack.enter_context(_one_gradebook(self.coursedir.db_url))
        self.step = nbgrader_step.GradeStep(config=self.config)
        self.source = nbgrader_step.source_notebook(self.coursedir, self.chapter.folder, self.chapter.name)
        self.released = nbgrader_step.released_cells(self.coursedir.db_url, self.chapter.folder, self.chapter.name)
        self.autograde = _everybody(Autograde)(coursedir=self.coursedir, config=self.config)
        self.autograde.log.setLevel(logging.ERROR)

    def job(self, student):
        """What a worker is asked; None if there is nothing that can be read."""
        from autograder.grading import nbgrader_step

        path = self.folder("submitted", student) / f"{self.chapter.name}.ipynb"
        nbgrader_step.prepare(self.chapter.folder, student, [str(path)])
        notebook, problem = nbgrader_step.repaired(str(path), self.source, self.released, self.autograde.log)
        if problem:
            return None
        return self.step.job(self.store, self.chapter.folder, student, notebook, self.source)

    def jobs(self, students):
        """A student, what a worker is asked, and the record that is known, for each."""
        for student in students:
            try:
                job = self.job(student)
            except Exception as error:  # one submission, whatever is wrong with it, must not stop the class
                self.failed.append((student, f"{type(error).__name__}: {error}"))
                continue
            yield student, job, self.store.load(self.chapter.folder, student)

    # ---- the gradebook ----

    def write(self, student, record, state):
        """Keep a record, let nbgrader write the submission, and note that it is finished."""
        from nbgrader.converters.base import NbGraderException

        record.pop("done", None)
        self.store.save(self.chapter.folder, student, record)
        self.coursedir.student_id, self.coursedir.assignment_id = student, self.chapter.folder
        try:
            self.autograde.start()
        except NbGraderException as error:
            self.failed.append((student, str(error)))
            return
        scores = self.gradebook_scores(student).get(student)
        record["done"] = {"state": state, "autograded": self.fingerprint(student), "scores": scores}
        self.store.save(self.chapter.folder, student, record)


def _everybody(autograde):
    """nbgrader's ``Autograde`` that does not pass over a submission without any notebook in it: that is a zero."""

    class Everybody(autograde):
        def init_notebooks(self):
            name = f"{syllabus.chapter(self.coursedir.assignment_id).name}.ipynb"
            folder = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
            self.assignments, self.notebooks = {folder: [os.path.join(folder, name)]}, []

    return Everybody


def _read_config(arguments):
    """The course's ``nbgrader_config.py`` and what the command line says."""
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    config = Config()
    if (arguments.course / "nbgrader_config.py").exists():
        config.merge(PyFileConfigLoader("nbgrader_config.py", path=str(arguments.course)).load_config())
    config.CourseDirectory.root = str(arguments.course.resolve())
    config.Autograde.force = True
    if arguments.public_cases:
        config.GradeStep.public_cases = True
    if arguments.unsandboxed:
        config.GradeStep.sandboxed = False
    return config


@contextlib.contextmanager
def _one_gradebook(db_url):
    """nbgrader opens the gradebook some eight times for each submission; here it is opened once for the class."""
    from nbgrader import api
    from nbgrader.converters import autograde
    from nbgrader.preprocessors import latesubmissions

    from autograder.grading import nbgrader_step

    class Kept(api.Gradebook):
        def close(self):
            self.db.remove()  # the session; the connection stays

    kept = Kept(db_url)
    users = (autograde, latesubmissions, nbgrader_step, api)
    originals = [module.Gradebook for module in users]
    try:
        for module in users:
            module.Gradebook = lambda *arguments, **options: kept
        yield
    finally:
        for module, original in zip(users, originals, strict=True):
            module.Gradebook = original
        kept.db.remove()
        kept.engine.dispose()
