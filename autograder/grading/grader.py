"""Outside: draw the inputs, ask the runner what the student's object makes of them, compare, and give the points.

The runner is asked one case at a time, so that an answer which hangs or ends its process costs the rest of its own
check only: a new runner is forked, the cells that had run are run again without the one that was fatal, and the
grading goes on.
"""

import hashlib
import hmac
import importlib
import signal
import time
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from autograder import report, verdict
from autograder.answer import PRINTED, Outcome, Raised, plain
from autograder.exercise import exercises_of
from autograder.grading import protocol, records, runner
from autograder.grading.sandbox import Limits, Zygote
from course_lib import syllabus


class Step(NamedTuple):
    """One code cell, as the grader sees it."""

    position: int  # in the notebook
    kind: str  # "run", "skip" or "check"
    text: str  # what is run
    name: str = ""  # a check's cell
    exercise: str = ""
    expression: str = ""  # what is checked, in the student's namespace


@dataclass(frozen=True)
class Job:
    """All that is needed to grade one submission, on whatever machine."""

    chapter: str
    student: str
    steps: tuple
    preload: tuple = ()
    secret: bytes | None = None  # the student's own; None: the public cases
    limits: Limits = Limits()
    sandboxed: bool = True


def student_secret(class_secret, student):
    """What the seeds of one student are made of; it tells nothing about another's."""
    return hmac.digest(class_secret, student.encode(), "sha256")


def seed_of(job, exercise):
    """The seed of an exercise's cases for one student; None if the cases are the public ones."""
    if job.secret is None:
        return None
    text = f"{exercise.module}.{exercise.name}".encode()
    return int.from_bytes(hmac.new(job.secret, text, hashlib.sha256).digest()[:8])


class Dead(Exception):
    """The runner had to be ended, or had ended. ``raised`` says so in the student's words."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.raised = Raised(kind, message)


class Session:
    """A submission's runner, and the next one when that has died.

    Use as a context manager: afterwards nothing that the submission started is left.
    """

    def __init__(self, zygote, limits):
        self.zygote, self.limits = zygote, limits
        self.deadline = time.monotonic() + limits.notebook
        self._connection = None
        self._ran = []  # the cells that have run and did not kill the runner
        self.forks = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def run(self, text):
        """Run a cell.

        Returns
        -------
        (str, str)
            What it printed and how it failed.

        Raises
        ------
        Dead
        """
        self._revive()
        return self._run(text)

    def find(self, chapter, exercise, expression):
        """Look up the object that a check is about.

        Returns
        -------
        Outcome or None
            What went wrong; None if it was found.

        Raises
        ------
        Dead
        """
        self._revive()
        module = f"autograder.exercises.{chapter}"
        reply = self._ask({"do": "find", "module": module, "exercise": exercise, "expression": expression})
        return None if reply.get("found") is True else _outcome(reply, ())

    def apply(self, case):
        """What the object that was found does with a case.

        Raises
        ------
        Dead
        """
        return _outcome(self._ask({"do": "apply", "args": list(case.args), "kwargs": case.kwargs}), case.args)

    def _run(self, text):
        reply = self._ask({"do": "run", "source": text})
        printed, failed = reply.get("printed"), reply.get("failed")
        if not isinstance(printed, str) or not isinstance(failed, str):
            raise self._die("InterpreterLost", "the cell broke the connection to the grader")
        self._ran.append(text)
        return protocol.clean(printed[: runner.PRINTED + 100]), protocol.clean(failed[:2000])

    def _revive(self):
        """Fork a runner if there is none and bring it to where the last one was."""
        while self._connection is None:
            self._connection = self.zygote.start()
            self.forks += 1
            before, self._ran = self._ran, []
            for k, text in enumerate(before):
                try:
                    self._run(text)
                except Dead:  # it went well the first time; without it, then
                    self._ran = [*self._ran, *before[k + 1 :]]
                    break

    def _ask(self, message):
        now = time.monotonic()
        if now >= self.deadline:
            raise self._die("Timeout", f"the notebook had used its {self.limits.notebook:g} seconds before this")
        deadline = min(now + self.limits.cell, self.deadline)
        try:
            protocol.send(self._connection, message, deadline)
            return protocol.receive(self._connection, deadline)
        except protocol.TooSlow:
            seconds = f"{deadline - now:.3g} seconds"
            raise self._die(
                "Timeout", f"your code had not finished after {seconds}; is there an endless loop?"
            ) from None
        except protocol.ProtocolError as error:
            raise self._die("InterpreterLost", f"your code ended the Python process it ran in ({error})") from None

    def _die(self, kind, message):
        status = self._end()
        if kind == "InterpreterLost" and status & 127 and status & 127 != signal.SIGKILL:
            message = f"your code crashed the Python process it ran in ({signal.Signals(status & 127).name})"
        return Dead(kind, message)

    def _end(self):
        connection, self._connection = self._connection, None
        return self.zygote.stop(connection) if connection is not None else 0


def _outcome(reply, args):
    """An outcome from what a runner has sent, which may be anything that can be sent."""
    raised = reply.get("raised")
    if raised is not None:
        fields = raised if isinstance(raised, dict) else {}
        texts = [fields.get(name) for name in ("kind", "message", "line", "missing")]
        kind, message, line, missing = (protocol.clean(text[:500]) if isinstance(text, str) else "" for text in texts)
        number = fields.get("number")
        raised = Raised(kind or "an exception", message, line, number if isinstance(number, int) else 0, missing)
    overwritten = reply.get("overwritten")
    overwritten = overwritten if isinstance(overwritten, list) else []
    known = tuple(k for k in overwritten if isinstance(k, int) and 0 <= k < len(args))
    printed = reply.get("printed")
    printed = protocol.clean(printed[:PRINTED]) if isinstance(printed, str) else ""
    return Outcome(plain(reply.get("value")), raised, known, printed)


_zygotes = {}  # one for each chapter and limits; a process keeps them


def zygote_of(job):
    """This process's zygote for the job's chapter, started if it is not there yet."""
    name = (job.chapter, job.preload, job.limits, job.sandboxed)
    if name not in _zygotes:
        chapter = syllabus.chapter(job.chapter)
        preload = [*job.preload, f"autograder.exercises.{chapter.name}"]
        _zygotes[name] = Zygote(chapter, preload, job.limits, job.sandboxed)
    return _zygotes[name]


def close():
    """End this process's zygotes."""
    while _zygotes:
        _zygotes.popitem()[1].close()


def _exercises(job):
    return exercises_of(importlib.import_module(f"autograder.exercises.{syllabus.chapter(job.chapter).name}"))


def grade(job, known=None):
    """Grade one submission.

    Parameters
    ----------
    job : Job
    known : dict, optional
        An earlier record of this student's: what still holds of it is taken from there.

    Returns
    -------
    dict
        The record (see ``records``): a verdict for each check, and what each cell printed.

    Raises
    ------
    SandboxUnavailable
        If submissions cannot be confined here.
    """
    exercises = _exercises(job)
    seeds = {name: seed_of(job, exercise) for name, exercise in exercises.items()}
    keys = records.keys(job, exercises, seeds)
    record = records.kept(known, job.steps, keys)
    open_checks = [step for step in job.steps if step.kind == "check" and step.name not in record["checks"]]
    if not open_checks and all(str(s.position) in record["outputs"] for s in job.steps if s.kind == "run"):
        return record
    zygote = zygote_of(job)
    started = time.monotonic()
    with zygote.lock, Session(zygote, job.limits) as session:
        for step in job.steps:
            if step.kind == "run":
                record["outputs"][str(step.position)] = _run(session, step) | {"key": keys[step.position]}
            elif step in open_checks and step.exercise in exercises:
                exercise = exercises[step.exercise]
                judged = _check(session, job, step, exercise, seeds[step.exercise])
                record["checks"][step.name] = records.of(judged) | {"key": keys[step.position]}
        record["forks"] = session.forks
    record["seconds"] = time.monotonic() - started
    return record


def again(job, name):
    """The verdict on one exercise of a submission, with all that was sent and came back.

    Returns
    -------
    Verdict
    """
    exercise = _exercises(job)[name]
    zygote = zygote_of(job)
    with zygote.lock, Session(zygote, job.limits) as session:
        for step in job.steps:
            if step.kind == "run":
                _run(session, step)
            elif step.exercise == name:
                return _check(session, job, step, exercise, seed_of(job, exercise))
    raise KeyError(f"no cell of the notebook checks {name}")


def _run(session, step):
    try:
        printed, failed = session.run(step.text)
    except Dead as death:
        printed, failed = "", f"{death.raised.kind}: {death.raised.message}"
    return {"printed": printed, "failed": failed}


def _check(session, job, step, exercise, seed):
    """The verdict on one exercise."""
    cases = exercise.draw(seed)
    outcomes = []
    try:
        lost = session.find(syllabus.chapter(job.chapter).name, step.exercise, step.expression)
        while lost is None and len(outcomes) < len(cases):
            outcomes.append(session.apply(cases[len(outcomes)]))
    except Dead as death:
        lost = Outcome(raised=death.raised)
    outcomes += [lost] * (len(cases) - len(outcomes))
    return judge(exercise, cases, outcomes)


def judge(exercise, cases, outcomes):
    """:func:`autograder.verdict.judge` in silence: what a student returns may overflow wherever it is touched."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return verdict.judge(exercise, cases, outcomes)


def page(judged):
    """The report of a verdict."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return report.page(judged)
