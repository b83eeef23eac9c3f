"""A made-up class, graded from release to feedback with nbgrader as it is shipped.

Everybody a teacher knows is in it: one who solved everything, one who stopped half way, one who handed in the empty
notebook, one for each mistake that the exercises know by name, and one whose file is broken.
"""

import inspect
import shutil
import textwrap
from pathlib import Path

from autograder.exercise import exercises_of
from autograder.notebooks import ROOT, exercise_module, read, role, source_path, text_of
from course_lib.syllabus import CHAPTERS
from course_lib.syllabus import chapter as find


def submissions(chapter, released):
    """The class's notebooks.

    Parameters
    ----------
    chapter : Chapter
    released : Path
        The released notebook.

    Returns
    -------
    dict of str to str
        The text of the notebook file that each student hands in.
    """
    source = read(source_path(chapter))
    solutions = {
        cell.metadata.nbgrader.grade_id: "\n".join(line for line in cell.source.split("\n") if "SOLUTION" not in line)
        for cell in source.cells
        if role(cell) == "solution"
    }
    everything = {**solutions, **written_answers(source)}
    names = list(solutions)
    students = {
        "honest": everything,
        "half_done": {name: solutions[name] for name in names[: len(names) // 2]},
        "not_attempted": {},
    }
    for name, exercise in exercises_of(exercise_module(chapter)).items():
        for mistake in exercise.mistakes:
            wrong = {name: mistaken(solutions[name], name, mistake)}
            students[f"mistake_{name}_{mistake.name}"] = everything | wrong
    texts = {student: text_of(answered(released, answers)) for student, answers in students.items()}
    return texts | {"broken_file": text_of(read(released))[:2000]}


def written_answers(source):
    """The model answers of the questions graded by hand, by cell."""
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in source.cells if role(cell) == "answer"}


def answered(released, answers):
    """A released notebook with these cells filled in."""
    notebook = read(released)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell.source = answers[name]
    return notebook


def mistaken(solution, name, mistake):
    """A student's cell that makes a known mistake: the right function inside the wrong one."""
    wrong = textwrap.dedent(inspect.getsource(mistake.function))
    wrong = wrong[wrong.index("def ") :]  # without its decorator
    return (
        f"{solution}\n\n_right = {name}\n\n\n{wrong}\n\n"
        f"def {name}(*args, **kwargs):\n    return {mistake.name}(_right, *args, **kwargs)\n"
    )


def scores(course, chapter):
    """What nbgrader's gradebook says.

    Returns
    -------
    dict of str to dict of str to (float or None)
        For each student, the automatic score of each graded cell; None where nbgrader could not give one.
    """
    from nbgrader.api import Gradebook, MissingEntry

    table = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        for submission in gradebook.assignment_submissions(chapter.folder):
            try:
                notebook = gradebook.find_submission_notebook(chapter.name, chapter.folder, submission.student.id)
            except MissingEntry:
                continue
            table[submission.student.id] = {grade.name: grade.auto_score for grade in notebook.grades}
    return table


def nbgrader(course, *command):
    """Run one of nbgrader's commands in a course folder and return how it ended."""
    import subprocess
    import sys

    log = course / "nbgrader.log"
    with log.open("a") as stream:
        stream.write(f"$ nbgrader {' '.join(command)}\n")
        stream.flush()
        return subprocess.run(
            [sys.executable, "-m", "nbgrader", *command], cwd=course, stdout=stream, stderr=subprocess.STDOUT
        ).returncode


def release(course, chapter):
    """Lay out a course folder with the chapter released."""
    course.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    shutil.copytree(source_path(chapter).parent, course / "notebooks" / chapter.folder, dirs_exist_ok=True)
    if nbgrader(course, "generate_assignment", chapter.folder, "--force"):
        raise RuntimeError(f"nbgrader could not release {chapter.folder}; see {course / 'nbgrader.log'}")


def prepare(course, chapter):
    """Lay out a course folder with the chapter released and the class's submissions in place."""
    release(course, chapter)
    released = course / "release" / chapter.folder / f"{chapter.name}.ipynb"
    for student, text in submissions(chapter, released).items():
        target = course / "submitted" / student / chapter.folder / f"{chapter.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def configure(parser):
    parser.add_argument("chapters", nargs="*", help="names or numbers (default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="where to (default: demo/, made anew)")


def main(arguments):
    """``python -m autograder demo``."""
    if arguments.folder.exists():
        shutil.rmtree(arguments.folder)
    for chapter in [find(name) for name in arguments.chapters] or CHAPTERS:
        prepare(arguments.folder, chapter)
        handed_in = sorted(path.name for path in (arguments.folder / "submitted").iterdir())
        print(f"{chapter.folder}: grading {len(handed_in)} submissions ...", flush=True)
        nbgrader(arguments.folder, "autograde", chapter.folder)
        nbgrader(arguments.folder, "generate_feedback", chapter.folder)
        print_scores(chapter, scores(arguments.folder, chapter), handed_in)
    print(f"feedback pages: {arguments.folder}/feedback/STUDENT/CHAPTER/   log: {arguments.folder}/nbgrader.log")
    return 0


def print_scores(chapter, table, handed_in):
    """A row for each student: the score of each check and the sum."""
    exercises = exercises_of(exercise_module(chapter))
    most = sum(exercise.points for exercise in exercises.values())
    print(f"{'':48}" + "".join(f"{name[:12]:>14}" for name in exercises) + f"{'sum':>9} / {most}")
    for student in handed_in:
        row = [table.get(student, {}).get(f"check_{name}") for name in exercises]
        if None in row:
            print(f"{student:48}  not graded: the file cannot be read (see the log)")
            continue
        print(f"{student:48}" + "".join(f"{score:14.2f}" for score in row) + f"{sum(row):9.2f}")
