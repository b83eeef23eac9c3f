"""``python -m autograder export CHAPTER --to canvas|moodle``: the scores as an LMS imports them.

Both formats are plugins of nbgrader, so ``nbgrader export`` writes them too, for one assignment or several::

    nbgrader export --exporter=autograder.teaching.export.CanvasExport --assignment '["01_convolution"]' --to scores.csv

A score is the sum of the automatic points and those given by hand less the late penalty, never below zero. Who has
nothing in the gradebook is left out of the file, because both importers take an empty cell for "remove the grade" (it
stands in a file of several assignments only, for who has some of them); ``--missing zero`` (``LMSExport.missing``)
writes a 0 instead. A file is UTF-8, and ids keep their leading zeros: import it as it is, since a spreadsheet that
opens and saves it drops them.
"""

import sys
from pathlib import Path

from nbgrader.api import MissingEntry
from nbgrader.plugins import ExportPlugin
from traitlets import Enum

from autograder.teaching import sheets


class LMSExport(ExportPlugin):
    """What the exports share: which scores there are."""

    missing = Enum(("omit", "zero"), "omit", help="what to write for who has nothing in the gradebook").tag(config=True)

    filename = "grades.csv"

    def export(self, gradebook):
        """Write the file ``to`` (default: ``filename``)."""
        wanted = [str(name) for name in self.assignment]
        assignments = [a for a in gradebook.assignments if not wanted or a.name in wanted]
        lost = sorted(set(wanted) - {a.name for a in assignments})
        if lost:
            raise ValueError(f"the gradebook has no assignment {', '.join(lost)}")
        chosen = [str(name) for name in self.student]
        students = [student for student in gradebook.students if not chosen or student.id in chosen]
        rows = []
        for student in students:
            scores = [self.score(gradebook, assignment, student) for assignment in assignments]
            if self.missing == "zero":
                scores = [0.0 if score is None else score for score in scores]
            if any(score is not None for score in scores):
                rows.append((student, scores))
        for student, _ in rows:
            if sheets.harmful(student.id):
                self.log.warning("the id %r looks like a formula: it is written with a quote in front", student.id)
        sheets.write(self.to or self.filename, self.rows(assignments, rows))
        self.log.info("Wrote the scores of %d of %d students to %s", len(rows), len(students), self.to or self.filename)

    def score(self, gradebook, assignment, student):
        """Points with two decimals; None if there is no submission."""
        try:
            submission = gradebook.find_submission(assignment.name, student.id)
        except MissingEntry:
            return None
        if submission.needs_manual_grade:
            self.log.warning("%s of %s still waits for grading by hand", assignment.name, student.id)
        return round(max(0.0, submission.score - (submission.late_submission_penalty or 0.0)), 2)

    def rows(self, assignments, scores):
        """The rows of the file, the head first; ``scores`` are pairs of a student and a list of points or None."""
        raise NotImplementedError


class CanvasExport(LMSExport):
    """What Canvas' *Gradebook → Import* takes.

    The head is ``Student, ID, SIS User ID, SIS Login ID, Section`` and one column an assignment; the next row begins
    with ``Points Possible`` and holds the maxima. Canvas looks for a student by its own ``ID`` (nbgrader's
    ``lms_user_id``, if it is set), then by ``SIS User ID``, ``SIS Login ID`` and the name; nbgrader's id stands in
    ``id_column`` of these. An assignment of the same title gets the scores, otherwise Canvas offers to make one.

    Sources: "How do I import grades in the Gradebook?" in Instructure's *Canvas Instructor Guide*;
    ``lib/gradebook_importer.rb`` of github.com/instructure/canvas-lms (``row_has_student_headers?``,
    ``process_student``, ``process_pp``, ``no_change_to_value?``).
    """

    filename = "canvas.csv"
    id_column = Enum(
        ("SIS User ID", "SIS Login ID"), "SIS User ID", help="the column in which Canvas finds nbgrader's student id"
    ).tag(config=True)

    def rows(self, assignments, scores):
        columns = ("SIS User ID", "SIS Login ID")
        yield ["Student", "ID", *columns, "Section", *(assignment.name for assignment in assignments)]
        yield ["    Points Possible", "", "", "", "", *(assignment.max_score for assignment in assignments)]
        for student, points in scores:
            name = ", ".join(part for part in (student.last_name, student.first_name) if part) or student.id
            ids = [student.id if column == self.id_column else "" for column in columns]
            yield [name, student.lms_user_id, *ids, "", *points]


class MoodleExport(LMSExport):
    """What Moodle's *Grades → Import → CSV file* takes.

    The head names the columns as Moodle's own export does: ``First name, Last name, ID number, Email address``, and
    one column an assignment. On the import page, map from ``ID number`` to *ID number* (or to *Username*, if that is
    what nbgrader's ids are; or from ``Email address``), and each assignment to its grade item, whose maximum must be at
    least the chapter's. A student whom Moodle does not find stops the import before anything is written.

    Sources: https://docs.moodle.org/en/Grade_import; ``grade/import/csv/classes/load_data.php`` of
    github.com/moodle/moodle (``map_user_data_with_value``, ``update_grade_item``).
    """

    filename = "moodle.csv"

    def rows(self, assignments, scores):
        names = [assignment.name for assignment in assignments]
        yield ["First name", "Last name", "ID number", "Email address", *names]
        for student, points in scores:
            yield [student.first_name, student.last_name, student.id, student.email, *points]


FORMATS = {"canvas": CanvasExport, "moodle": MoodleExport}


def configure(parser):
    parser.add_argument("chapter", help="name, number or folder")
    parser.add_argument("--to", choices=FORMATS, required=True, help="the LMS that imports the file")
    parser.add_argument("--output", type=Path, help="the file (default: CHAPTER-canvas.csv or CHAPTER-moodle.csv)")
    parser.add_argument("--missing", choices=("omit", "zero"), help="who has nothing in the gradebook (default: omit)")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")


def main(arguments):
    """Write the file and say what it does not hold; 0 if there is one."""
    from autograder.teaching import gathered

    group = gathered.gather(arguments.chapter, arguments.course, with_code=False)
    folder = group.chapter.folder
    output = arguments.output or arguments.course / f"{folder}-{arguments.to}.csv"
    plugin = FORMATS[arguments.to](config=group.config, to=str(output), assignment=[folder])
    plugin.log.setLevel("ERROR")  # what it would say for each student is said for the class below
    if arguments.missing:
        plugin.missing = arguments.missing
    with group.gradebook() as gradebook:
        plugin.export(gradebook)
    print(f"{output}: {sum(s.score is not None for s in group.students)} scores of at most {group.max_score:g} points")
    absent = "0 points" if plugin.missing == "zero" else "left out"
    remarks = {
        f"handed in but not graded ({absent}); run: python -m autograder grade {folder}": group.having("not graded"),
        f"handed in nothing ({absent})": group.having("missing"),
        "wait for grading by hand; those questions count 0 so far": [s for s in group.students if s.waiting],
        "have a late penalty, which is taken off": [s for s in group.students if s.penalty > 0],
        "have an id like a formula; a quote stands before it": [s for s in group.students if sheets.harmful(s.id)],
    }
    for words, students in remarks.items():
        if students:
            print(f"{len(students)} of {len(group.students)} students {words}", file=sys.stderr)
    return 0
