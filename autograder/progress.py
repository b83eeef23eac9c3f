"""What a learner has done: attempts, hints and passes, in a file of their own.

``workspace/progress.jsonl`` gets a line whenever an exercise is checked, a hint or a solution is shown::

    {"chapter": "convolution", "exercise": "conv2d", "event": "check", "passed": false, "when": "2026-02-03T14:00:00Z"}

``passed`` stands only where ``event`` is ``check``; the others are ``hint`` and ``solution``. Lines are only ever
added. Nothing is sent anywhere, and where there is no such file (grading, an author's notebook) nothing is kept.
"""

import csv
import errno
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autograder import report

NAME = "progress.jsonl"
EVENTS = ("check", "hint", "solution")

_waiting = []  # events that could not be written yet
_said = False  # whether the learner has been told


@dataclass
class Tally:
    """One exercise so far. ``attempts`` counts the checks up to the first that passed."""

    attempts: int = 0
    passed: bool = False
    hints: int = 0
    solution: bool = False
    first: str = ""  # when it was first checked
    last: str = ""  # when it was passed, or last checked


def file_of(folder="."):
    """The progress file of the workspace that ``folder`` is in, or None where there is none."""
    folder = Path(folder).resolve()
    return next((place / NAME for place in (folder, folder.parent) if (place / NAME).exists()), None)


def record(exercise, event, passed=None):
    """Keep an event. Whatever is wrong with the file costs one message, and what was not written is tried again."""
    global _said
    if os.environ.get("NBGRADER_EXECUTION"):  # nbgrader runs the notebook, not a learner
        return
    try:
        path = file_of()
        if path is None:
            return
        entry = {"chapter": exercise.module.rpartition(".")[2], "exercise": exercise.name, "event": event}
        if passed is not None:
            entry["passed"] = bool(passed)
        _waiting.append(entry | {"when": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        _append(path, "".join(json.dumps(entry) + "\n" for entry in _waiting))
    except OSError as error:
        if not _said:
            _said = True
            report.say(f"Your progress could not be written ({error.strerror}); your work is not concerned", f"{path}")
    else:
        _waiting.clear()


def _append(path, text):
    """Add lines in one write, so that those of two kernels do not mix; end a line that was left unfinished first."""
    with open(path, "a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            text = text if file.read(1) == b"\n" else "\n" + text
        data = text.encode()
        if file.write(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read(path):
    """The events of a file, and how many of its lines are none.

    Returns
    -------
    list of dict, int
    """
    events, corrupt = [], 0
    for line in Path(path).read_bytes().splitlines():
        try:
            event = json.loads(line)
            if not all(isinstance(event[key], str) for key in ("chapter", "exercise", "event", "when")):
                raise ValueError("not an event")
            if event["event"] not in EVENTS or not isinstance(event.get("passed", False), bool):
                raise ValueError("not an event")
        except (ValueError, KeyError, TypeError, RecursionError):
            corrupt += bool(line.strip())
        else:
            events.append(event)
    return events, corrupt


def tally(events):
    """What the events come to.

    Returns
    -------
    dict of (str, str) to Tally
        By chapter and exercise.
    """
    table = {}
    for event in events:
        one = table.setdefault((event["chapter"], event["exercise"]), Tally())
        if event["event"] == "hint":
            one.hints += 1
        elif event["event"] == "solution":
            one.solution = True
        elif not one.passed:
            one.attempts += 1
            one.passed = event.get("passed", False)
            one.first = one.first or event["when"]
            one.last = event["when"]
    return table


def export(path, destination):
    """Write the table of exercises as CSV, for an instructor who asks for it."""
    events, _ = read(path)
    with open(destination, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["chapter", "exercise", "attempts", "passed", "hints", "solution", "first", "last"])
        for (chapter, exercise), one in tally(events).items():
            flags = int(one.passed), one.hints, int(one.solution)
            writer.writerow([chapter, exercise, one.attempts, *flags, one.first, one.last])


def configure(parser):
    from autograder.notebooks import ROOT

    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "workspace", help="default: workspace/")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write a table (CSV) that you can hand in")


def main(arguments):
    """``python -m autograder progress``."""
    from autograder import start

    path = arguments.folder / NAME
    if not path.exists():
        print(f"there is no {path}: `make lab` makes it")
        return 1
    print(start.page(arguments.folder).text)
    if arguments.export:
        export(path, arguments.export)
        print(f"written: {arguments.export}")
    return 0
