"""The page that ``make lab`` opens: the chapters, how far the learner is, and where to go on.

It is a notebook, ``workspace/start.ipynb``, with one cell that shows :func:`page`. What there is to do is read from the
notebooks as released (``workspace/.released/``), so that no chapter's packages are loaded for it.
"""

import html
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from autograder import progress, report
from course_lib.syllabus import CHAPTERS

WELCOME = """# Deep learning by doing

Choose a chapter. To bring the table up to date, click into the cell below and press Shift-Enter.

If you have not used a notebook before: Shift-Enter runs a cell and goes to the next one. Write your answer where it
says `raise NotImplementedError`, run the cell, and run the check below it."""
CODE = "from autograder import start\n\nstart.page()"
CELL = "padding:.35em .9em;vertical-align:top;text-align:left"


@dataclass(frozen=True)
class Line:
    """A chapter as the page shows it."""

    chapter: object
    points: dict  # by exercise, in the chapter's order
    by_hand: float  # points of the questions graded by hand
    tallies: dict  # by exercise, those that were tried

    @property
    def passed(self):
        return [name for name in self.points if name in self.tallies and self.tallies[name].passed]

    @property
    def earned(self):
        return sum(self.points[name] for name in self.passed)

    @property
    def next(self):
        """The first exercise that has not passed."""
        return next((name for name in self.points if name not in self.passed), None)

    @property
    def link(self):
        """The notebook; once an exercise has been tried, at the first that has not passed."""
        notebook = f"{self.chapter.folder}/{self.chapter.name}.ipynb"
        if not self.tallies or self.next is None:
            return notebook
        return f"{notebook}#cell-id={self.next.replace('_', '-')}"

    @property
    def where(self):
        """What the link says."""
        if not self.points:
            return "open"
        if self.next is None:
            return "every check passes"
        if not self.tallies:
            return "begin"
        attempts = self.tallies[self.next].attempts if self.next in self.tallies else 0
        tried = f" ({attempts} attempt{'s' if attempts > 1 else ''})" if attempts else ""
        return f"go on with {self.next}{tried}"


def page(folder="."):
    """The start page of a workspace, as a :class:`~autograder.report.Page`."""
    folder = Path(folder).resolve()
    events, notes = [], []
    try:
        events, corrupt = progress.read(folder / progress.NAME)
        notes.append(f"Your progress is kept in {progress.NAME} beside this page, and nowhere else.")
        if corrupt:
            lines = "1 line" if corrupt == 1 else f"{corrupt} lines"
            notes.append(f"{lines} of it cannot be read, and {'is' if corrupt == 1 else 'are'} not counted.")
    except FileNotFoundError:
        notes.append(f"Progress is not kept: there is no {progress.NAME} here. make lab makes one.")
    except OSError as error:
        notes.append(f"{progress.NAME} cannot be read ({error.strerror}): the table shows no progress.")
    lines = _lines(folder, progress.tally(events))
    notes.append(f"As of {datetime.now():%d %B %Y, %H:%M}.")
    return report.Page(_text(lines, notes), _markup(lines, notes))


def write(folder):
    """Write ``start.ipynb`` into a workspace, and begin its progress file."""
    (folder / progress.NAME).touch()
    shown = page(folder)
    output = new_output("execute_result", {"text/html": shown.markup, "text/plain": shown.text}, execution_count=1)
    cells = [new_markdown_cell(WELCOME, id="welcome"), new_code_cell(CODE, id="chapters", outputs=[output])]
    cells[1].execution_count = 1
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    partial = folder / "start.ipynb.part"
    nbformat.write(notebook, partial)
    partial.replace(folder / "start.ipynb")


def _lines(folder, tallies):
    lines = []
    for chapter in CHAPTERS:
        points, by_hand = {}, 0
        try:
            text = (folder / ".released" / chapter.folder / f"{chapter.name}.ipynb").read_text(encoding="utf-8")
            cells = json.loads(text)["cells"]
        except (OSError, ValueError, KeyError):  # without it the page lists the chapter and knows no numbers
            cells = []
        for cell in cells:
            graded = cell["metadata"].get("nbgrader", {})
            if graded.get("grade") and graded.get("solution"):
                by_hand += graded["points"]
            elif graded.get("grade"):
                points[graded["grade_id"].removeprefix("check_")] = graded["points"]
        mine = {name: one for (where, name), one in tallies.items() if where == chapter.name and name in points}
        lines.append(Line(chapter, points, by_hand, mine))
    return lines


def _summary(lines):
    passed, count = sum(len(line.passed) for line in lines), sum(len(line.points) for line in lines)
    earned, points = sum(line.earned for line in lines), sum(sum(line.points.values()) for line in lines)
    return f"{passed} of {count} exercises pass · {earned:g} of {points:g} points"


def _hours(minutes):
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" if not minutes else f"{hours} h {minutes}"


def _together(text):
    """Not to be broken between two lines."""
    return text.replace(" ", "&nbsp;")


def _text(lines, notes):
    rows = [_summary(lines), ""]
    for line in lines:
        done = (
            f"{len(line.passed):2d} of {len(line.points):2d}  {line.earned:3g} of {sum(line.points.values()):3g} points"
        )
        rows.append(
            f"{line.chapter.number:02d} {line.chapter.title:30} {_hours(line.chapter.minutes):7} {done}  {line.where}"
        )
    return "\n".join([*rows, "", *notes])


def _markup(lines, notes):
    head = _row("th", ("", "chapter", "time", "exercises that pass", "points", ""))
    rows = "".join(_row("td", _cells(line)) for line in lines)
    return (
        f'<p><b>{html.escape(_summary(lines))}</b></p><table style="border-collapse:collapse">'
        f"<thead>{head}</thead><tbody>{rows}</tbody></table>"
        f'<p style="opacity:.8">{html.escape(" ".join(notes))}</p>'
    )


def _row(tag, cells):
    inside = "".join(f'<{tag} style="{CELL}">{cell}</{tag}>' for cell in cells)
    return f"<tr>{inside}</tr>"


def _cells(line):
    chapter, total = line.chapter, sum(line.points.values())
    start = f"{chapter.folder}/{chapter.name}.ipynb"
    share = 100 * len(line.passed) / max(1, len(line.points))
    bar = (
        '<div style="width:8em;height:.6em;margin-top:.3em;border:1px solid #808080">'
        f'<div style="width:{share:.0f}%;height:100%;background-color:#009E73"></div></div>'
    )
    by_hand = _together(f"<br>+ {line.by_hand:g} by hand") if line.by_hand else ""
    return (
        f"{chapter.number:02d}",
        f'<a href="{start}"><b>{html.escape(chapter.title)}</b></a><br>{html.escape(chapter.teaches)}',
        _together(_hours(chapter.minutes)),
        f"{len(line.passed)} of {len(line.points)}{bar}",
        f"{line.earned:g} of {total:g}{by_hand}",
        f'<a href="{line.link}">{html.escape(line.where)}</a>',
    )
