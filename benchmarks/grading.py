"""How fast a class is graded, next to nbgrader as it is shipped: the same class, the same scores, one machine, one run.

``python -m benchmarks.grading [CHAPTER] [--students N] [--workers N] [--full]``. The class is the one of ``python -m
autograder demo``: honest work and every mistake that the exercises know. Both sides grade on the public cases, the
only ones that nbgrader's own way has; on secret cases a mistaken answer may pass another number of them by accident.

nbgrader runs a notebook's trainings for every student, and this engine none. They are cut to their shortest here, in
nbgrader's favour; with ``--full`` they are as long as in the notebook.
"""

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from autograder import demo
from course_lib.syllabus import chapter as find


def seconds(function, *arguments, **options):
    """The time a call takes, and what it returns."""
    started = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - started, result


def command(course, *words, epochs="1"):
    """Run a command in a course folder, as an instructor does; its output is shown only if it fails.

    Returns
    -------
    float
        The CPU time it and its descendants used: what the clock would show on one CPU with nothing else to do.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(demo.ROOT), "OMP_NUM_THREADS": "1"}
    if epochs:
        environment["COURSE_EPOCHS"] = epochs
    run = subprocess.run([sys.executable, "-m", *words], cwd=course, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_class(folder, chapter, count):
    """Two course folders with the same class handed in: one for us, one for nbgrader with its own configuration."""
    ours, stock = folder / "ours", folder / "stock"
    demo.prepare(ours, chapter)
    handed_in = sorted(path for path in (ours / "submitted").iterdir() if path.name != "broken_file")
    step = max(1, len(handed_in) // count)  # some of every exercise's mistakes
    chosen = {path.name for path in [*handed_in[::step][: count - 1], ours / "submitted" / "honest"]}
    for path in (ours / "submitted").iterdir():
        if path.name not in chosen:
            shutil.rmtree(path)
    shutil.copytree(ours, stock)
    config = (stock / "nbgrader_config.py").read_text().partition("# The verdict is made outside")[0]
    (stock / "nbgrader_config.py").write_text(config + "\nc.Execute.timeout = 300\n")
    return ours, stock, len(chosen)


def difference(ours, stock, chapter):
    """The students whose scores are not the same."""
    a, b = demo.scores(ours, chapter), demo.scores(stock, chapter)
    return [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def inside(ours, chapter):
    """Where the time goes: the runner's start, execution on one and on two workers, nbgrader's bookkeeping."""
    from autograder.grading import classroom, cluster, grader

    arguments = argparse.Namespace(
        chapter=chapter.name, students="*", workers=0, scheduler=None, force=True, course=ours, public_cases=True,
        unsandboxed=False,
    )  # fmt: skip
    room = classroom.Classroom(arguments)
    found = {}
    with contextlib.ExitStack() as stack, open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
        room.prepare(stack)
        students = room.students()
        found["read and repair"] = seconds(lambda: [room.job(student) for student in students])[0] / len(students)
        jobs = [room.job(student) for student in students]
        # Other limits are another key: nothing of this is found in the cache, and every worker has its own sandbox.
        again = [
            (s, replace(job, limits=replace(job.limits, cpu=301)), {}) for s, job in zip(students, jobs, strict=True)
        ]
        again *= max(1, 120 // len(again))
        for count in (1, 2):
            with cluster.workers(count) as client:
                warm = [(str(k), again[0][1], {}) for k in range(8 * count)]
                list(cluster.run(client, warm, []))
                time_taken, results = seconds(lambda client=client: list(cluster.run(client, again, [])))
                found[f"execution on {count} worker{'s'[: count - 1]}"] = time_taken / len(again)
                assert len(results) == len(again)
        state = room.unfinished(students)
        records = {student: room.store.load(chapter.folder, student) for student in students}
        book = seconds(lambda: [room.write(student, records[student], state[student]) for student in students])[0]
        found["nbgrader's bookkeeping"] = book / len(students)
        zygote = grader.zygote_of(jobs[0])
        zygote.wait()
        starts = []
        for _ in range(21):
            taken, connection = seconds(zygote.start)
            starts.append(taken)
            zygote.stop(connection)
        found["a runner is ready after"] = sorted(starts)[10]
        found["one submission, its sandbox loaded"] = min(seconds(grader.grade, jobs[0], {})[0] for _ in range(5))
        grader.close()
    return found


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__)
    parser.add_argument("chapter", nargs="?", default="convolution")
    parser.add_argument("--students", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="leave trainings as long as in the notebook")
    parser.add_argument("--bar", type=float, default=12, help="the ratio that is asked for")
    arguments = parser.parse_args()
    chapter, trainings = find(arguments.chapter), {"epochs": None if arguments.full else "1"}
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        ours, stock, count = make_class(Path(folder), chapter, arguments.students)
        print(f"{chapter.folder}, {count} submissions, load average {os.getloadavg()[0]:.1f}", flush=True)
        grade = ("autograder", "grade", chapter.name, "--public-cases", "--workers", str(arguments.workers))
        # What both sides load is read from the disk once, elsewhere, before either is timed.
        elsewhere = shutil.copytree(ours, Path(folder) / "elsewhere")
        command(elsewhere, *grade, "--students", "honest")
        first, first_cpu = seconds(command, ours, *grade)
        print(
            f"this engine, {arguments.workers} workers:   {first:7.2f} s, {first / count:.3f} s each, "
            f"CPU {first_cpu:.1f} s",
            flush=True,
        )
        unchanged, unchanged_cpu = seconds(command, ours, *grade)
        print(f"  again, nothing changed:  {unchanged:7.2f} s, CPU {unchanged_cpu:.1f} s", flush=True)
        forced, forced_cpu = seconds(command, ours, *grade, "--force")
        print(f"  again, all rewritten:    {forced:7.2f} s, CPU {forced_cpu:.1f} s", flush=True)
        theirs, theirs_cpu = seconds(command, stock, "nbgrader", "autograde", chapter.folder, **trainings)
        print(
            f"nbgrader as it is shipped: {theirs:7.2f} s, {theirs / count:.3f} s each, CPU {theirs_cpu:.1f} s",
            flush=True,
        )
        unlike = difference(ours, stock, chapter)
        print(f"scores: {'identical' if not unlike else f'NOT identical for {unlike}'}")
        print(f"CPU time: {theirs_cpu / first_cpu:.1f} ×; nothing changed: {theirs_cpu / unchanged_cpu:.0f} ×")
        print(f"ratio: {theirs / first:.1f} × (the bar: {arguments.bar:g})")
        print(f"ratio, nothing changed: {theirs / unchanged:.0f} × (the bar: 50)")
        found = inside(ours, chapter)
        for name, value in found.items():
            print(f"  {name + ':':38}{1000 * value:8.1f} ms")
        speedup = found["execution on 1 worker"] / found["execution on 2 workers"]
        print(f"execution on 2 workers: {speedup:.2f} × one (the bar is 1.7), on {os.cpu_count()} CPUs")
    return int(bool(unlike))


if __name__ == "__main__":
    raise SystemExit(main())
