"""The source notebooks: where they are, what each cell is, and the nbgrader metadata that follows from it.

An author writes plain cells; :func:`normalize` writes the rest. What a cell is can be read off it:

=================  ======================================================  ===========================================
role               how it is recognised                                    nbgrader
=================  ======================================================  ===========================================
solution           code with ``### BEGIN SOLUTION``                        solution; its id is the function's name
check              code ``ex.NAME.check(...)``                             graded, locked; points from the exercise
answer             markdown tagged ``answer:NAME``                         graded by hand; points from the exercises
question           markdown with ``BEGIN MARK SCHEME``                     locked; the scheme is for graders only
setup              code tagged ``setup``                                   locked; run when grading
demo               any other code                                          locked, tagged ``demo``; not run when grading
text               any other markdown                                      none
=================  ======================================================  ===========================================
"""

import hashlib
import importlib
import re
from pathlib import Path

import nbformat

from autograder.exercise import exercises_of, written_of
from course_lib.syllabus import CHAPTERS

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CHECK = re.compile(r"^ex\.(\w+)\.check\((.+)\)\s*$", re.DOTALL)


def source_path(chapter):
    """The source notebook of a chapter."""
    return ROOT / "notebooks" / chapter.folder / f"{chapter.name}.ipynb"


def exercise_module(chapter):
    """The chapter's module of exercises."""
    return importlib.import_module(f"autograder.exercises.{chapter.name}")


def role(cell):
    """What a cell is: see the table above."""
    tags = cell.metadata.get("tags", [])
    if cell.cell_type == "markdown":
        if any(tag.startswith("answer:") for tag in tags):
            return "answer"
        return "question" if "BEGIN MARK SCHEME" in cell.source else "text"
    if "### BEGIN SOLUTION" in cell.source:
        return "solution"
    if CHECK.match(cell.source):
        return "check"
    return "setup" if "setup" in tags else "demo"


def normalize(notebook, exercises):
    """Clear outputs and write cell ids, tags, kernel and nbgrader metadata, in place.

    Parameters
    ----------
    notebook : NotebookNode
    exercises : module
        The chapter's exercises.

    Raises
    ------
    ValueError
        If a cell names an exercise that does not exist, or an exercise is asked twice or never.
    """
    points = {name: exercise.points for name, exercise in exercises_of(exercises).items()}
    written = {name: question.points for name, question in written_of(exercises).items()}
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen = set()
    for cell in notebook.cells:
        kind = role(cell)
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "demo"]
        cell.metadata = nbformat.from_dict({"tags": tags + (["demo"] if kind == "demo" else [])})
        if not cell.metadata.tags:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        name, worth = None, None
        if kind == "solution":
            name = _defined(cell.source)
        elif kind == "check":
            exercise = CHECK.match(cell.source)[1]
            name, worth = f"check_{exercise}", _points(points, exercise)
        elif kind == "answer":
            name = next(tag for tag in tags if tag.startswith("answer:")).partition(":")[2]
            worth = _points(written, name)
        _give_id(cell, seen, name)
        if kind != "text":
            cell.metadata["nbgrader"] = _metadata(kind, name or f"{kind}_{cell.id}", cell.cell_type, worth)
    asked = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if role(cell) in ("check", "answer")]
    wanted = [f"check_{name}" for name in points] + list(written)
    if sorted(asked) != sorted(wanted):
        missing, twice = set(wanted) - set(asked), {name for name in asked if asked.count(name) > 1}
        raise ValueError(f"exercises that no cell checks: {sorted(missing)}; asked twice: {sorted(twice)}")


def _points(points, name):
    if name not in points:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(points)}")
    return points[name]


def _defined(source):
    """The name of the first function or class that a solution defines."""
    found = re.search(r"^(?:def|class) (\w+)", source, re.MULTILINE)
    if found is None:
        raise ValueError(f"a solution must define a function or a class:\n{source}")
    return found[1]


def _metadata(kind, grade_id, cell_type, points):
    metadata = {
        "schema_version": 3,
        "grade_id": grade_id,
        "cell_type": cell_type,
        "grade": kind in ("check", "answer"),
        "solution": kind in ("solution", "answer"),
        "locked": kind not in ("solution", "answer"),
        "task": False,
    }
    if points is not None:
        metadata["points"] = points
    return metadata


def _give_id(cell, seen, name):
    """Keep a cell's id; one that has none, or another cell's, gets it from its name or its text."""
    if name is not None:
        cell["id"] = name.replace("_", "-")[:60]
    elif not cell.get("id") or cell["id"] in seen:
        cell["id"] = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
    while cell["id"] in seen:
        cell["id"] += "x"
    seen.add(cell["id"])


def read(path):
    """A notebook in the current format."""
    return nbformat.read(path, as_version=4)


def text_of(notebook):
    """The notebook as the text of its file."""
    return nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"


def chapter_table():
    """The README's table of chapters, from the syllabus and the exercises."""
    rows = ["| | chapter | what you build | exercises | points | hours |", "|---|---|---|---|---|---|"]
    for chapter in CHAPTERS:
        module = exercise_module(chapter)
        graded = [*exercises_of(module).values(), *written_of(module).values()]
        link = f"[{chapter.title}](notebooks/{chapter.folder}/{chapter.name}.ipynb)"
        points = f"{sum(exercise.points for exercise in graded):g}"
        rows.append(
            f"| {chapter.number:02d} | {link} | {chapter.teaches} "
            f"| {len(graded)} | {points} | {chapter.minutes / 60:g} |"
        )
    return "\n".join(rows)


def with_chapter_table(readme):
    """The README's text with the table of chapters between its two marks made anew."""
    start, end = "<!-- chapters: written by make notebooks -->\n", "<!-- /chapters -->"
    before, _, rest = readme.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}{chapter_table()}\n{end}{after}"


def configure(parser):
    parser.add_argument("chapters", nargs="*", help="names or numbers (default: all)")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something would change")


def main(arguments):
    """``python -m autograder normalize``: write what follows from the cells, or say what would change."""
    from course_lib.syllabus import chapter as find

    wanted = {ROOT / "README.md": with_chapter_table((ROOT / "README.md").read_text(encoding="utf-8"))}
    for chapter in [find(name) for name in arguments.chapters] or CHAPTERS:
        notebook = read(source_path(chapter))
        normalize(notebook, exercise_module(chapter))
        wanted[source_path(chapter)] = text_of(notebook)
    changed = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        if not arguments.check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'would change; run make notebooks' if arguments.check else 'written'}")
    return int(arguments.check and bool(changed))
