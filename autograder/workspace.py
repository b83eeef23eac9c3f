"""Make a student's folder: the notebooks as released, never touching what is already there."""

import shutil
import tempfile
from pathlib import Path

from autograder.notebooks import ROOT
from course_lib.syllabus import CHAPTERS


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
    """Add to ``folder`` what is not there yet and leave everything else alone.

    Returns
    -------
    list of Path
        The files that were added.
    """
    added = []
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [chapter for chapter in CHAPTERS if not (folder / chapter.folder / f"{chapter.name}.ipynb").exists()]
    if not wanted:
        return added
    with tempfile.TemporaryDirectory() as scratch:
        release(wanted, scratch)
        for source in sorted(Path(scratch).rglob("*")):
            target = folder / source.relative_to(scratch)
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(target.name + ".part")
                shutil.copyfile(source, partial)
                partial.replace(target)  # a file is there entirely or not at all
                added.append(target)
    return added


def configure(parser):
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "workspace", help="default: workspace/")


def main(arguments):
    """``python -m autograder workspace``."""
    added = complete(arguments.folder)
    notebooks = [path for path in added if path.suffix == ".ipynb"]
    for path in notebooks:
        print(f"new: {path.parent.name}/{path.name}")
    if not notebooks:
        print(f"{arguments.folder.name}/ has every chapter; your work is as you left it")
    return 0
