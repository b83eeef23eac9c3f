"""A student's folder: the notebooks as released, what the student wrote, and the updates that are offered.

``workspace/.released/`` keeps each notebook as it was released, with the date of the source that it was made from: so a
new release is noticed, and what the student changed is known (see :mod:`autograder.merge`).
"""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autograder import merge, start
from autograder.notebooks import ROOT, read, source_path, text_of
from course_lib.syllabus import CHAPTERS


@dataclass(frozen=True)
class Update:
    """A new release of a notebook of the workspace: what it would be, and what would change."""

    chapter: object
    path: Path  # the student's notebook
    pristine: Path  # the new release, in a temporary folder
    merged: object
    changes: merge.Changes


def release(chapters, destination):
    """Write the release version of chapters (solutions removed, cells locked) to ``destination/NN_name/``.

    nbgrader's own ``generate_assignment`` makes it, with the course's configuration and without a gradebook.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    config.CourseDirectory.root = str(ROOT)
    config.CourseDirectory.release_directory = str(destination)
    config.SaveCells.enabled = False  # a student has no gradebook
    for chapter in chapters:
        # The released files are addressed as destination/./NN_name, as nbgrader lays out a release.
        coursedir = CourseDirectory(config=config, assignment_id=chapter.folder)
        converter = GenerateAssignment(coursedir=coursedir, config=config, no_database=True)
        converter.log.setLevel("WARNING")
        converter.start()


def complete(folder):
    """Add to ``folder`` the chapters that are not there yet and leave everything else alone.

    Returns
    -------
    list of Path
        The files that were added.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _add(folder, release_outdated(folder, Path(scratch)), Path(scratch))


def release_outdated(folder, scratch):
    """Release into ``scratch`` what ``folder`` does not have or has from another source; returns these chapters."""
    chapters = [chapter for chapter in CHAPTERS if not _is_current(folder, chapter)]
    if chapters:
        release(chapters, scratch)
    for chapter in chapters:
        shutil.copystat(source_path(chapter), scratch / _name(chapter))
    return chapters


def updates(folder, chapters, scratch):
    """The notebooks of ``folder`` for which ``scratch`` holds something new.

    One that cannot be read is reported on standard error and left alone.

    Returns
    -------
    list of Update
    """
    found = []
    for chapter in chapters:
        path, pristine, base = folder / _name(chapter), scratch / _name(chapter), _base(folder, chapter)
        try:
            mine = read(path)
            before = read(base) if base.exists() else None
        except Exception as error:  # whatever is wrong with a file, the others go on
            print(f"{_name(chapter)} cannot be read ({error}); it is left as it is", file=sys.stderr)
            continue
        merged, changes = merge.merge(mine, before, read(pristine))
        if merge.same(mine, merged):
            _copy(pristine, base)  # nothing that a student would see
        else:
            found.append(Update(chapter, path, pristine, merged, changes))
    return found


def apply(folder, update):
    """Write an update, after a copy of the notebook as it is.

    Returns
    -------
    Path
        The copy. It stands outside the chapter's folder, which nbgrader hands in as a whole.
    """
    now = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    backup = folder / "backups" / update.chapter.folder / f"{update.chapter.name}-{now}.ipynb"
    _copy(update.path, backup)
    partial = update.path.with_name(update.path.name + ".part")
    partial.write_text(text_of(update.merged), encoding="utf-8")
    partial.replace(update.path)
    _copy(update.pristine, _base(folder, update.chapter))
    return backup


def _add(folder, chapters, scratch):
    """Copy from ``scratch`` what is not in ``folder``."""
    added = []
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in chapters:
        for source in sorted((scratch / chapter.folder).rglob("*")):
            target = folder / source.relative_to(scratch)
            if source.is_file() and not target.exists():
                _copy(source, target)
                added.append(target)
        if folder / _name(chapter) in added:
            _copy(scratch / _name(chapter), _base(folder, chapter))
    return added


def _copy(source, target):
    """Copy a file with its date; it is there entirely or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    shutil.copy2(source, partial)
    partial.replace(target)


def _name(chapter):
    return Path(chapter.folder, f"{chapter.name}.ipynb")


def _base(folder, chapter):
    return folder / ".released" / _name(chapter)


def _is_current(folder, chapter):
    path, base = folder / _name(chapter), _base(folder, chapter)
    if not path.exists() or not base.exists():
        return False
    return base.stat().st_mtime_ns == source_path(chapter).stat().st_mtime_ns


def _asks(question):
    """Whether the person at the terminal says yes; where there is none, no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def configure(parser):
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "workspace", help="default: workspace/")
    parser.add_argument("--update", action="store_true", help="take all updates (what you wrote stays)")


def main(arguments):
    """``python -m autograder workspace``."""
    folder = arguments.folder
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        outdated = release_outdated(folder, scratch)
        added = _add(folder, outdated, scratch)
        for path in added:
            print(f"new: {path.relative_to(folder)}")
        waiting = 0
        for update in updates(folder, outdated, scratch):
            print(f"update of {update.chapter.folder}: {update.changes}")
            if arguments.update or _asks("  Take it?"):
                backup = apply(folder, update)
                print(f"  updated; as it was: {os.path.relpath(backup, folder.parent)}")
            else:
                waiting += 1
    if waiting:
        print(f"{waiting} to be had with `make update`; your notebooks are as you left them")
    elif not outdated:
        print(f"{folder.name}/ has every chapter; your work is as you left it")
    try:
        start.write(folder)
    except OSError as error:  # the chapters are there all the same
        print(f"the start page could not be written: {error}", file=sys.stderr)
    return 0
