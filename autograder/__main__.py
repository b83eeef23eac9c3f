"""``python -m autograder COMMAND``: what students, instructors and authors run from a terminal."""

import argparse
import importlib
import os
import sys

from autograder import NotReady
from course_lib.syllabus import UnknownChapter

COMMANDS = {  # name: (module, help); the module has configure(parser) and main(arguments)
    "workspace": ("autograder.workspace", "make, complete or update a student's folder of notebooks"),
    "progress": ("autograder.progress", "show what a learner has done so far, or write it to a file"),
    "normalize": ("autograder.notebooks", "write the nbgrader metadata of the source notebooks (authors)"),
    "grade": ("autograder.grading.classroom", "grade a class's submissions of a chapter"),
    "report": ("autograder.teaching.report", "say what the class can and cannot do: an HTML page and CSV files"),
    "export": ("autograder.teaching.export", "write the scores as Canvas or Moodle imports them"),
    "replay": ("autograder.grading.replay", "show one student's cases of an exercise again"),
    "doctor": ("autograder.grading.doctor", "say whether submissions can be confined here"),
    "demo": ("autograder.demo", "grade a made-up class from release to feedback"),
}


def main():
    parser = argparse.ArgumentParser(prog="python -m autograder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, help_text) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text)
        if name in sys.argv[1:2]:  # the others' modules are not even imported
            importlib.import_module(module).configure(command)
    arguments = parser.parse_args()
    # nbgrader starts alembic and jupyter by name: they must be found although the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    try:
        return importlib.import_module(COMMANDS[arguments.command][0]).main(arguments)
    except (NotReady, UnknownChapter) as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
