"""Outside: draw the inputs, ask the runner what the student's object makes of them, compare, and give the points.

The runner answers case by case, so that an answer which hangs or ends its process costs the rest of its own check
only: a new runner is forked, the cells that had run are run again without the one that was fatal, and the
grading goes on.
"""

import functools
import hashlib
import hmac
import importlib
import time
import warnings
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from autograder import report, verdict
from autograder.answer import Outcome
from autograder.exercise import exercises_of
from autograder.grading import protocol, records
from autograder.grading.sandbox import Limits, Zygote
from autograder.grading.session import Dead, Session
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
    text = f"{_module(job)}.{exercise}".encode()
    return int.from_bytes(hmac.new(job.secret, text, hashlib.sha256).digest()[:8])


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


def _module(job):
    return f"autograder.exercises.{syllabus.chapter(job.chapter).name}"


def _exercises(job):
    return exercises_of(importlib.import_module(_module(job)))


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
    seeds = {step.exercise: seed_of(job, step.exercise) for step in job.steps if step.kind == "check"}
    keys = records.keys(job, seeds)
    record = records.kept(known, job.steps, keys)
    open_checks = [step for step in job.steps if step.kind == "check" and step.name not in record["checks"]]
    if not open_checks and all(str(s.position) in record["outputs"] for s in job.steps if s.kind == "run"):
        return record  # without having loaded the chapter's packages, which takes longer
    exercises, zygote = _exercises(job), zygote_of(job)
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
                return _check(session, job, step, exercise, seed_of(job, name))
    raise KeyError(f"no cell of the notebook checks {name}")


def _run(session, step):
    try:
        printed, failed = session.run(step.text)
    except Dead as death:
        printed, failed = "", f"{death.raised.kind}: {death.raised.message}"
    return {"printed": printed, "failed": failed}


def _check(session, job, step, exercise, seed):
    """The verdict on one exercise."""
    cases = drawn(exercise, seed)
    outcomes = []
    try:
        lost = session.find(syllabus.chapter(job.chapter).name, step.exercise, step.expression)
        if lost is None:
            for outcome in session.apply(cases):
                outcomes.append(outcome)  # one by one: what came before a death is kept
    except Dead as death:
        lost = Outcome(raised=death.raised)
    outcomes += [lost] * (len(cases) - len(outcomes))
    return judge(exercise, cases, outcomes)


def drawn(exercise, seed):
    """The cases of a student; those that are also among the public ones are marked as known to everybody."""
    public = _public(exercise)
    if seed is None:
        return list(public)
    results = {_written(case): case.results for case in public}
    return [
        replace(case, known=True, results=results[written]) if (written := _written(case)) in results else case
        for case in exercise.draw(seed)
    ]


@functools.cache
def _public(exercise):
    """The public cases: the same objects for the whole class, so that they keep what the reference makes of them."""
    return exercise.draw()


def _written(case):
    return protocol.written([list(case.args), case.kwargs])


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
