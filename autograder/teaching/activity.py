"""Time and attempts, from the progress file that a student may hand in next to the notebook.

The file is JSON lines, one for each thing that happened::

    {"chapter": "01_convolution", "exercise": "conv2d", "event": "check", "passed": true, "when": "2026-03-02T10:15:00"}

``event`` is ``check``, ``hint`` or ``solution``. It is the student's own file, written on the student's machine: good
for seeing where a class spends its time, not for grading. Nothing else tells how long anybody worked: a notebook
holds no times, and the gradebook only when it was handed in.
"""

import json
import os
import stat
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

FILE = "progress.jsonl"
LARGEST, MOST_LINES = 5 * 2**20, 50_000
PAUSE = timedelta(minutes=10)  # a longer gap between two events counts as time away
EVENTS = ("check", "hint", "solution")


class BadFile(ValueError):
    """A progress file that cannot be used. The message says why."""


@dataclass(frozen=True)
class Activity:
    """What a student's progress file says.

    ``minutes``, ``checks``, ``hints`` and ``solutions`` are by exercise. The time between two events counts for the
    exercise of the later one, if it is shorter than ``PAUSE``: what comes before the first event of a session, and
    reading without checking, is not seen. So the minutes are a lower bound.
    """

    minutes: dict
    checks: dict
    hints: dict
    solutions: dict

    @property
    def total(self):
        """Minutes in all."""
        return sum(self.minutes.values())


def read(path, chapter):
    """What a progress file says about a chapter.

    Returns
    -------
    Activity or None
        None if there is no file.

    Raises
    ------
    BadFile
        If it is not what the module's docstring describes.
    """
    if not os.path.lexists(path):
        return None
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise BadFile("it is a link or a special file")
    if status.st_size > LARGEST:
        raise BadFile(f"it has {status.st_size:,} bytes")
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise BadFile("it is not text") from None
    if len(lines) > MOST_LINES:
        raise BadFile(f"it has {len(lines):,} lines")
    events = [_event(number, line) for number, line in enumerate(lines, 1)]
    names = (chapter.name, chapter.folder, str(chapter.number))
    return of(sorted((e for e in events if e["chapter"] in names), key=lambda event: event["when"]))


def of(events):
    """Add up a chapter's events, which must be in the order of time."""
    minutes = Counter()
    for before, event in zip(events, events[1:], strict=False):
        gap = event["when"] - before["when"]
        if gap < PAUSE:
            minutes[event["exercise"]] += gap / timedelta(minutes=1)
    counts = {kind: Counter(e["exercise"] for e in events if e["event"] == kind) for kind in EVENTS}
    return Activity(dict(minutes), dict(counts["check"]), dict(counts["hint"]), dict(counts["solution"]))


def _event(number, line):
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or event.get("event") not in EVENTS:
            raise BadFile(f"line {number} is no event of an exercise")
        when = datetime.fromisoformat(event["when"])
        # Local times of one machine compare with each other; one without a zone is taken as this machine's.
        exercise, chapter = event["exercise"], str(event["chapter"])
        if not isinstance(exercise, str):
            raise BadFile(f"line {number} names no exercise")
        return {"chapter": chapter, "exercise": exercise, "event": event["event"], "when": when.astimezone()}
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"line {number} cannot be read") from None
