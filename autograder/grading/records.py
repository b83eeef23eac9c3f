"""What a verdict depends on, and the verdicts that are kept.

A record is plain data (JSON): ``checks`` holds for each checked cell its score, status, report and cases; ``outputs``
what each of the student's cells printed; each with a key, the hash of everything it depends on. A key covers the
text of every cell that runs before, so whatever has the same key has the same verdict.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
import sys
from pathlib import Path

from autograder.grading import sandbox

ROOT = sandbox.ROOT


def keys(job, seeds):
    """The key of each step, by its position in the notebook; ``seeds`` are those of the exercises, by name."""
    running = digest("cells", environment(job.chapter), job.limits, job.sandboxed, job.preload)
    found = {}
    for step in job.steps:
        if step.kind == "run":
            running = found[step.position] = digest(running, step.text)
        elif step.kind == "check":
            meaning = meaning_of(sandbox.syllabus.chapter(job.chapter).name, step.exercise)
            found[step.position] = digest(running, meaning, step.expression, seeds[step.exercise])
    return found


@functools.cache
def environment(chapter):
    """A hash of the versions and of our own code that a cell runs with or is judged by."""
    chapter = sandbox.syllabus.chapter(chapter)
    versions = {name: d.version for name, d in sandbox.needed((*sandbox.BASE, *chapter.packages)).items()}
    # The exercises have keys of their own, and the library's later modules are seen by the references only.
    ours = [path for path in sandbox.own_modules(chapter) if path.parent.name != "exercises"]
    ours = [file for path in ours for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    judging = [ROOT / "autograder" / "grading" / f"{name}.py" for name in ("grader", "session", "records")]
    return digest(sys.version, sorted(versions.items()), *(p.read_bytes() for p in sorted({*ours, *judging})))


@functools.cache
def meaning_of(chapter, name=None):
    """A hash of an exercise: its cases, mistakes, constants and reference, but not those of its neighbours.

    Without a name, of all the chapter's exercises.
    """
    tree = ast.parse((ROOT / "autograder" / "exercises" / f"{chapter}.py").read_text())
    kept = [ast.dump(node) for node in tree.body if name is None or _owner(node) in (None, name)]
    return digest(*kept, *_library(f"course_lib.{chapter}"))


def _owner(node):
    """The exercise that a top-level statement of an exercise module belongs to; None: to all of them."""
    for decorator in getattr(node, "decorator_list", ()):
        match decorator:
            case ast.Call(ast.Name("exercise")):
                return node.name
            case ast.Call(ast.Attribute(ast.Name(owner), "mistake")):
                return owner
    return None


def _library(name, seen=None):
    """The text of a module or package of the library and of those it imports."""
    seen = {} if seen is None else seen
    path = ROOT / name.replace(".", "/")
    for file in [path.with_suffix(".py"), *sorted(path.rglob("*.py"))]:
        if file in seen or not file.is_file():
            continue
        seen[file] = file.read_text()
        for node in ast.walk(ast.parse(seen[file])):
            imported = []
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            for other in imported:
                if other.startswith("course_lib."):
                    _library(other, seen)
    return list(seen.values())


def kept(known, steps, found):
    """A record with what still holds of an earlier one."""
    known = known or {}
    checks, outputs = known.get("checks", {}), known.get("outputs", {})
    return {
        "checks": {
            step.name: checks[step.name]
            for step in steps
            if step.kind == "check" and checks.get(step.name, {}).get("key", "") == found.get(step.position)
        },
        "outputs": {
            str(step.position): outputs[str(step.position)]
            for step in steps
            if step.kind == "run" and outputs.get(str(step.position), {}).get("key") == found[step.position]
        },
    }


def of(judged):
    """A verdict as plain data."""
    from autograder.grading.grader import page

    shown = page(judged)
    return {
        "exercise": judged.exercise.name,
        "score": judged.score,
        "points": judged.exercise.points,
        "status": judged.status,
        "mistake": judged.mistake.name if judged.mistake else None,
        "cases": [[result.case.name, result.passed] for result in judged.results],
        "text": shown.text,
        "html": shown.markup,
    }


def digest(*parts):
    """A hash of some text and bytes."""
    total = hashlib.sha256()
    for part in parts:
        part = part if isinstance(part, bytes) else str(part).encode()
        total.update(len(part).to_bytes(8) + part)
    return total.hexdigest()[:32]


class Store:
    """Records on disk, one file for each submission; a file is there whole or not at all."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def path(self, assignment, student):
        return self.folder / "records" / assignment / f"{digest(student)}.json"

    def load(self, assignment, student):
        """The record, or an empty one."""
        try:
            return json.loads(self.path(assignment, student).read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def save(self, assignment, student, record):
        path = self.path(assignment, student)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(record).encode())

    def secret(self):
        """The class secret, made when it is first needed; only its owner can read it."""
        path = self.folder / "secret"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write(path, os.urandom(32), mode=0o600, keep=True)
        return path.read_bytes()


def write(path, data, mode=0o644, keep=False):
    """Write a file at once: under another name, then renamed. With ``keep``, one that is there already stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
    if keep:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    else:
        os.replace(temporary, path)
