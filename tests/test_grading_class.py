"""A class: killed while it is graded, and graded on workers that are killed."""

import os
import random
import subprocess
import sys
import time

import psutil
import pytest

from autograder import demo
from autograder.grading import classroom, grader, records
from tests.grading import course as small
from tests.grading.course import CHAPTER, FULL, hand_in, handed_in, text_of

ONE = ("output_size",)
WRONG = "def output_size(size, filter_size, stride=1, padding=0):\n    return (size - filter_size) // stride + 1"


@pytest.fixture(scope="module", autouse=True)
def _end_the_sandboxes():
    yield
    grader.close()


def enrol(course, count):
    """A class in which every third student is mistaken, each notebook a little different."""
    for k in range(count):
        answers = {"output_size": WRONG} if k % 3 == 0 else {}
        hand_in(course, f"student{k:03d}", handed_in(answers, after=[f"name = 'student {k}'"], exercises=ONE))


def finished(course, count):
    store = records.Store(course / ".grading")
    return sum("done" in store.load(CHAPTER.folder, f"student{k:03d}") for k in range(count))


def command(course, *options):
    words = [sys.executable, "-m", "autograder", "grade", CHAPTER.name, "--course", str(course), *options]
    environment = os.environ | {"PYTHONPATH": str(small.ROOT)}
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_class_of_three_hundred_survives_kill_nine_five_times(tmp_path):
    count = 300
    killed = small.make(tmp_path / "killed", exercises=ONE)
    enrol(killed, count)
    spared = small.copy(killed, tmp_path / "spared")
    records.Store(killed / ".grading").secret()
    (spared / ".grading").mkdir()
    (spared / ".grading" / "secret").write_bytes((killed / ".grading" / "secret").read_bytes())
    for moment in sorted(random.Random(3).sample(range(5, 240), 5)):
        process = command(killed, "--workers", "2")
        deadline = time.monotonic() + 120
        while finished(killed, count) < moment and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it could be killed"
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, left = psutil.wait_procs(started, timeout=30)
        assert not left, "workers or sandboxes outlive the grader"
    assert finished(killed, count) < count
    assert small.grade(killed, workers=2) == 0
    assert small.grade(spared, workers=2) == 0
    found = small.dump(killed, CHAPTER)
    assert found == small.dump(spared, CHAPTER)
    assert len(demo.scores(killed, CHAPTER)) == count
    stamp = os.stat(killed / "gradebook.db").st_mtime_ns
    assert small.grade(killed, workers=2) == 0
    assert os.stat(killed / "gradebook.db").st_mtime_ns == stamp
    assert small.dump(killed, CHAPTER) == found


@pytest.fixture
def scheduler(tmp_path):
    """A Dask scheduler and two workers: three processes."""
    environment = os.environ | {"PYTHONPATH": str(small.ROOT), "PYTHONWARNINGS": "ignore"}
    address = tmp_path / "scheduler.json"
    started = []

    def start(*words):
        started.append(
            subprocess.Popen([sys.executable, "-m", "dask", *words], env=environment, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address))
    worker = ("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    workers = [start(*worker, "--scheduler-file", str(address), "--local-directory", str(tmp_path)) for _ in range(2)]
    deadline = time.monotonic() + 60
    while not address.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield records.json.loads(address.read_text())["address"], workers
    alive = [process for process in started if process.poll() is None]
    left = [child for process in alive for child in psutil.Process(process.pid).children(recursive=True)]
    for process in started:
        process.kill()
        process.wait()
    assert not psutil.wait_procs(left, timeout=30)[1], "a sandbox outlives its worker"


def test_a_worker_killed_in_the_middle_loses_nothing_and_nothing_is_graded_twice(tmp_path, scheduler, monkeypatch):
    address, workers = scheduler
    count = 40
    course = small.make(tmp_path / "course", exercises=ONE)
    enrol(course, count)
    written, write = [], classroom.Classroom.write

    def write_and_kill(room, student, *rest):
        written.append(student)
        if len(written) == count // 4:
            children = psutil.Process(workers[0].pid).children(recursive=True)
            workers[0].kill()
            workers[0].wait()
            assert not psutil.wait_procs(children, timeout=30)[1]
        write(room, student, *rest)

    monkeypatch.setattr(classroom.Classroom, "write", write_and_kill)
    assert small.grade(course, scheduler=address) == 0
    assert sorted(written) == [f"student{k:03d}" for k in range(count)]
    found = demo.scores(course, CHAPTER)
    for k in range(count):
        right = found[f"student{k:03d}"]["check_output_size"] == FULL["check_output_size"]
        assert right == (k % 3 != 0)


def test_one_submission_that_cannot_be_written_does_not_stop_the_class(tmp_path, monkeypatch, capsys):
    course = small.make(tmp_path / "course", exercises=ONE)
    enrol(course, 3)
    job = classroom.Classroom.job
    fails = lambda room, student: 1 / 0 if student == "student001" else job(room, student)  # noqa: E731
    monkeypatch.setattr(classroom.Classroom, "job", fails)
    assert small.grade(course) == 1
    assert "student001: not graded: ZeroDivisionError" in capsys.readouterr().err
    assert set(demo.scores(course, CHAPTER)) == {"student000", "student002"}
    monkeypatch.setattr(classroom.Classroom, "job", job)
    assert small.grade(course) == 0
    assert len(demo.scores(course, CHAPTER)) == 3


def test_stopping_with_control_c_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    course = small.make(tmp_path / "course", exercises=ONE)
    enrol(course, 4)
    write = classroom.Classroom.write

    def stop(room, student, *rest):
        if student == "student002":
            raise KeyboardInterrupt
        write(room, student, *rest)

    monkeypatch.setattr(classroom.Classroom, "write", stop)
    assert small.grade(course) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert finished(course, 4) == 2
    monkeypatch.setattr(classroom.Classroom, "write", write)
    assert small.grade(course) == 0
    assert finished(course, 4) == 4


def test_students_can_be_chosen_by_a_pattern(tmp_path):
    course = small.make(tmp_path / "course", exercises=ONE)
    enrol(course, 3)
    hand_in(course, "guest", text_of(handed_in(exercises=ONE)))
    assert small.grade(course, students="student00[12]") == 0
    assert set(demo.scores(course, CHAPTER)) == {"student001", "student002"}
