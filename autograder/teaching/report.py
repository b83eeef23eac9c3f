"""``python -m autograder report CHAPTER``: what the class can and cannot do, as one HTML page and CSV files."""

import sys
from pathlib import Path


def configure(parser):
    parser.add_argument("chapter", help="name, number or folder")
    parser.add_argument("--anonymous", action="store_true", help="call students by numbers, and show no code of theirs")
    parser.add_argument("--output", type=Path, help="a folder (default: reports/CHAPTER or reports/CHAPTER-anonymous)")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")


def main(arguments):
    """Write the report; 0 if there was something to report on."""
    from autograder.teaching import gathered
    from autograder.teaching.page import Report

    group = gathered.gather(arguments.chapter, arguments.course, arguments.anonymous)
    grade = f"python -m autograder grade {group.chapter.folder}"
    if not group.graded:
        print(f"no submission of {group.chapter.folder} is graded; run: {grade}", file=sys.stderr)
        return 1
    report = Report(group, arguments.anonymous)
    # A folder of its own, so that a page without names never lies beside files with names.
    name = f"{group.chapter.folder}-anonymous" if arguments.anonymous else group.chapter.folder
    page = report.write(arguments.output or arguments.course / "reports" / name)
    print(f"{len(group.graded)} submissions, {len(report.findings)} findings: {page}")
    todo = [student for student in group.students if student.state == "not graded" or student.changed]
    if todo:
        print(f"{len(todo)} submissions are not graded as they stand; run: {grade}", file=sys.stderr)
    return 0
