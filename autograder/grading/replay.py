"""``python -m autograder replay CHAPTER STUDENT EXERCISE``: one student's cases again, with what was expected."""

from pathlib import Path

from course_lib import syllabus


def configure(parser):
    parser.add_argument("chapter", help="name, number or folder")
    parser.add_argument("student")
    parser.add_argument("exercise")
    parser.add_argument("--case", help="the name of one case (default: all)")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
    parser.add_argument("--public-cases", action="store_true", help="the cases that students see, not secret ones")
    parser.add_argument("--unsandboxed", action="store_true", help="run the submission without any confinement")


def main(arguments):
    """Run a submission again and print inputs, results and expectations; 0 if every case passes."""
    import contextlib

    from autograder.exercise import exercises_of
    from autograder.grading import classroom, grader
    from autograder.notebooks import exercise_module

    chapter = syllabus.chapter(arguments.chapter)
    exercises = exercises_of(exercise_module(chapter))
    if arguments.exercise not in exercises:
        print(f"there is no exercise {arguments.exercise!r}; there are {', '.join(exercises)}")
        return 2
    arguments.students, arguments.force, arguments.workers, arguments.scheduler = arguments.student, False, 0, None
    room = classroom.Classroom(arguments)
    with contextlib.ExitStack() as stack:
        stack.callback(grader.close)
        room.prepare(stack)
        job = room.job(arguments.student)
        if job is None:
            print(f"the notebook of {arguments.student} cannot be read")
            return 2
        judged = grader.again(job, arguments.exercise)
    for result in judged.results:
        if arguments.case in (None, result.case.name):
            print(f"\n{'pass' if result.passed else 'FAIL'}  {result.case.name}")
            for name, value in (*enumerate(result.case.args, 1), *result.case.kwargs.items()):
                print(f"  argument {name}: {value!r}")
            print(f"  expected: {result.expected!r}")
            print(f"  outcome:  {result.outcome!r}")
    print(f"\n{judged.exercise.name}: {judged.score:g} of {judged.exercise.points} points, {judged.status}")
    return 0 if judged.passed else 1
