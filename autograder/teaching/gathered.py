"""What is known of a class: verdicts with their cases from the records, scores and names from the gradebook."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

from autograder.exercise import exercises_of, written_of
from autograder.grading import nbgrader_step, reading
from autograder.grading.classroom import Classroom
from autograder.notebooks import exercise_module
from autograder.teaching import activity as progress


@dataclass(frozen=True)
class Result:
    """The verdict on one exercise of one student, as its record has it."""

    score: float
    points: float
    status: str  # pass, fail, raised or not attempted
    mistake: str | None  # the name of the known mistake
    cases: dict  # case name -> whether it passed

    @property
    def share(self):
        """The share of the points that was earned, 0 to 1."""
        return self.score / self.points

    @property
    def attempted(self):
        return self.status != "not attempted"

    @property
    def failing(self):
        """The names of the cases that do not pass."""
        return frozenset(name for name, passed in self.cases.items() if not passed)


@dataclass
class Student:
    """One student and the submission, if there is one.

    ``state`` is ``graded``, ``not graded`` (handed in since, or never graded), ``unreadable`` (a zero without cases)
    or ``missing`` (in the gradebook's list, nothing handed in).
    """

    id: str
    label: str  # what the report calls the student
    state: str = "missing"
    changed: bool = False  # the submission or the course is not what was graded
    score: float | None = None  # points, with those given by hand, less the penalty
    penalty: float = 0.0  # points
    waiting: bool = False  # for grading by hand
    handed_in: datetime | None = None
    results: dict = field(default_factory=dict)  # exercise name -> Result
    code: str = ""  # what the student wrote, without what was handed out
    activity: progress.Activity | None = None


@dataclass
class Class:
    """A chapter's class: its students, its exercises, and remarks on what could not be used."""

    chapter: object
    exercises: dict  # name -> Exercise, in the order of the chapter
    written: dict  # name -> Written
    students: list
    max_score: float
    due: datetime | None
    starter: str  # the code that was handed out
    notes: list
    config: object  # of the course, as nbgrader reads it

    def gradebook(self):
        """The course's gradebook, opened."""
        return _gradebook(self.config)

    def having(self, state):
        """The students in this state."""
        return [student for student in self.students if student.state == state]

    @property
    def graded(self):
        return self.having("graded")


def gather(chapter, course, anonymous=False, with_code=True):
    """Read all that is known of a chapter's class.

    Parameters
    ----------
    chapter : str
        Name, number or folder.
    course : Path
        The course's folder.
    anonymous : bool
        Whether students are called by a number. It is drawn from the class secret: the same in every report of this
        class, and no order of names shows in it.
    with_code : bool
        Whether the submitted files are read as well: what students wrote, and their progress files.

    Returns
    -------
    Class

    Raises
    ------
    NotReady
        If the gradebook does not know the chapter.
    """
    options = {"students": "*", "force": False, "public_cases": False, "unsandboxed": False}
    room = Classroom(SimpleNamespace(chapter=chapter, course=course, **options))
    folder = room.chapter.folder
    module = exercise_module(room.chapter)
    notes = []
    with _gradebook(room.config) as gradebook:
        assignment = nbgrader_step.released_assignment(gradebook, folder)
        people = {person.id: _name(person) for person in gradebook.students}
        submissions = {submission.student.id: _submission(submission) for submission in assignment.submissions}
        max_score, due = assignment.max_score, assignment.duedate
    released = nbgrader_step.released_cells(_url(room.config), folder, room.chapter.name)
    handed_in = set(room.students())
    everybody = sorted(handed_in | submissions.keys() | people.keys())
    labels = _pseudonyms(room.store, everybody) if anonymous else {name: people.get(name) or name for name in everybody}
    students = []
    for name in everybody:
        student = Student(name, labels[name], **submissions.get(name, {}))
        _add_verdicts(student, room, name in handed_in)
        if with_code and name in handed_in:
            _add_files(student, room, released, notes)
        students.append(student)
    starter = "\n\n".join(cell.text for cell in released.values())
    if anonymous:
        students.sort(key=lambda student: int(student.label.split()[1]))
    return Class(
        room.chapter, exercises_of(module), written_of(module), students, max_score, due, starter, notes, room.config
    )  # fmt: skip


def _url(config):
    options = config.CourseDirectory
    return options.get("db_url", f"sqlite:///{Path(options.root) / 'gradebook.db'}")


def _gradebook(config):
    from nbgrader.api import Gradebook

    return Gradebook(_url(config))


def _name(person):
    """``Last, First (id)``, or the id alone where the gradebook has no name."""
    name = ", ".join(part for part in (person.last_name, person.first_name) if part)
    return f"{name} ({person.id})" if name else person.id


def _pseudonyms(store, names):
    secret = store.secret()
    drawn = sorted(names, key=lambda name: hmac.digest(secret, f"pseudonym {name}".encode(), "sha256"))
    return {name: f"student {k}" for k, name in enumerate(drawn, 1)}


def _submission(submission):
    penalty = submission.late_submission_penalty or 0.0
    return {
        "score": max(0.0, submission.score - penalty),
        "penalty": penalty,
        "waiting": submission.needs_manual_grade,
        "handed_in": submission.timestamp,
    }


def _add_verdicts(student, room, handed_in):
    """The student's record, and whether it is about what is handed in now."""
    record = room.store.load(room.chapter.folder, student.id)
    if not handed_in:
        return
    if student.score is None or not record:
        student.state = "not graded" if student.score is None else "unreadable"
        return
    done = record.get("done")
    student.changed = done is not None and done["state"] != room.state(student.id)
    student.state = "graded" if record.get("checks") else "unreadable"
    for check in record.get("checks", {}).values():
        cases = dict(check["cases"])
        student.results[check["exercise"]] = Result(
            check["score"], check["points"], check["status"], check["mistake"], cases
        )


def _add_files(student, room, released, notes):
    """What the student wrote, and the progress file beside it."""
    folder = room.folder("submitted", student.id)
    given = {cell.text.strip() for cell in released.values()}
    try:
        cells = reading.read(nbgrader_step.locate(str(folder / f"{room.chapter.name}.ipynb")))
    except reading.Unreadable:
        cells = []
    own = [cell.text for cell in cells if cell.kind == "code" and cell.text.strip() not in given]
    student.code = "\n\n".join(text for text in own if text.strip())
    try:
        student.activity = progress.read(folder / progress.FILE, room.chapter)
    except progress.BadFile as problem:
        notes.append(f"The progress file of {student.label} is left out: {problem}.")
