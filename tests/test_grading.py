"""The engine as an instructor uses it: nbgrader's command, our command, the formgrader's button, on real gradebooks."""

import json
import os
import shutil
import stat
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder import demo
from autograder.__main__ import main as command_line
from autograder.grading import classroom, grader, reading, records, replay, sandbox, submission
from autograder.notebooks import read, source_path
from course_lib.syllabus import CHAPTERS
from tests.grading import course as small
from tests.grading.course import CHAPTER, FULL, arguments, hand_in, handed_in, job_of, scores, text_of

FLIPPED = """def conv2d(x, f):
    FH, FW = f.shape
    y = np.zeros((x.shape[0] - FH + 1, x.shape[1] - FW + 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + FH, j : j + FW] * f[::-1, ::-1]).sum()
    return y"""
CLASS = {
    "honest": handed_in(),
    "flipped": handed_in({"conv2d": FLIPPED}),
    "half": handed_in({"pad2d": "def pad2d(x, padding, value=0.0):\n    raise NotImplementedError"}),
    "hung": handed_in({"conv2d": "while True: pass"}),
    "killed": handed_in({"conv2d": "import os\nos._exit(1)"}),
    "no_words": handed_in({"why_floor": "*Write your answer here.*"}),
    "broken": text_of(handed_in())[:1500],
}
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)> \x1b[31mred\x1b[0m \x1b]8;;http://x\x07"


@pytest.fixture(scope="module", autouse=True)
def _end_the_sandboxes():
    yield
    grader.close()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A course with the small chapter released and nothing handed in."""
    return small.make(tmp_path_factory.mktemp("released") / "course")


@pytest.fixture
def course(released, tmp_path):
    return small.copy(released, tmp_path / "course")


@pytest.fixture(scope="module")
def graded_once(released, tmp_path_factory):
    course = small.copy(released, tmp_path_factory.mktemp("graded") / "course")
    for student, notebook in CLASS.items():
        hand_in(course, student, notebook)
    assert small.grade(course) == 0
    return course


@pytest.fixture
def graded(graded_once, tmp_path):
    """The class, graded with our command."""
    return small.copy(graded_once, tmp_path / "graded")


def autograded(course, student):
    return nbformat.read(course / "autograded" / student / CHAPTER.folder / f"{CHAPTER.name}.ipynb", as_version=4)


def test_the_scores_are_what_the_work_is_worth(graded):
    found = demo.scores(graded, CHAPTER)
    words = {"why_floor": None}
    assert found["honest"] == FULL | words
    assert found["half"] == FULL | words | {"check_pad2d": 0.0}
    assert found["hung"] == found["killed"] == FULL | words | {"check_conv2d": 0.0}
    assert found["no_words"] == FULL | {"why_floor": 0.0}
    assert found["broken"] == dict.fromkeys(FULL | words, 0.0)
    assert 0 < found["flipped"].pop("check_conv2d") < FULL["check_conv2d"]


def test_the_gradebook_is_the_one_that_nbgrader_writes(graded, course, tmp_path, released):
    other = small.copy(released, tmp_path / "other")
    (other / ".grading").mkdir()
    (other / ".grading" / "secret").write_bytes((graded / ".grading" / "secret").read_bytes())
    for student, notebook in CLASS.items():
        hand_in(other, student, notebook)
    assert demo.nbgrader(other, "autograde", CHAPTER.folder) == 0, (other / "nbgrader.log").read_text()
    assert small.dump(other, CHAPTER) == small.dump(graded, CHAPTER) != []
    for student in CLASS:
        assert autograded(other, student) == autograded(graded, student), student


def test_the_formgraders_button_grades_as_our_command_does(graded):
    from nbgrader.apps.api import NbGraderAPI

    before = small.dump(graded, CHAPTER)
    hand_in(graded, "late_comer", handed_in({"conv2d": FLIPPED}))
    api = NbGraderAPI(config=classroom._read_config(arguments(graded)))
    assert api.autograde(CHAPTER.folder, "late_comer")["success"]
    after = small.dump(graded, CHAPTER)
    assert set(before) < set(after)
    assert demo.scores(graded, CHAPTER)["late_comer"]["check_pad2d"] == FULL["check_pad2d"]


def test_grading_again_runs_and_writes_nothing(graded, monkeypatch):
    before, stamp = small.dump(graded, CHAPTER), os.stat(graded / "gradebook.db").st_mtime_ns
    monkeypatch.setattr(classroom.Classroom, "write", lambda *_: pytest.fail("a submission was written again"))
    assert small.grade(graded) == 0
    assert small.dump(graded, CHAPTER) == before
    assert os.stat(graded / "gradebook.db").st_mtime_ns == stamp


def test_writing_again_from_the_records_gives_the_same_gradebook_without_running_anything(
    graded, released, monkeypatch
):
    before = small.dump(graded, CHAPTER)
    shutil.copy(released / "gradebook.db", graded)
    monkeypatch.setattr(grader, "zygote_of", lambda job: pytest.fail("a submission was run again"))
    assert small.grade(graded) == 0
    assert small.dump(graded, CHAPTER) == before


def test_a_grade_changed_in_the_gradebook_is_put_right_and_a_manual_one_is_kept(graded):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{graded / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("check_conv2d", CHAPTER.name, CHAPTER.folder, "killed")
        grade.auto_score, grade.manual_score = 3.0, 1.0
        gradebook.db.commit()
    assert small.grade(graded) == 0
    assert demo.scores(graded, CHAPTER)["killed"]["check_conv2d"] == 0.0
    with Gradebook(f"sqlite:///{graded / 'gradebook.db'}") as gradebook:
        grade = gradebook.find_grade("check_conv2d", CHAPTER.name, CHAPTER.folder, "killed")
        assert grade.manual_score == 1.0 and grade.needs_manual_grade


def test_a_submission_that_changed_is_graded_again_and_only_that(graded, monkeypatch):
    written = []
    write = classroom.Classroom.write
    monkeypatch.setattr(classroom.Classroom, "write", lambda *a: written.append(a[1]) or write(*a))
    hand_in(graded, "half", handed_in())
    assert small.grade(graded) == 0
    assert written == ["half"]
    assert demo.scores(graded, CHAPTER)["half"]["check_pad2d"] == FULL["check_pad2d"]


def test_stock_nbgrader_gives_honest_and_mistaken_work_the_same_scores(graded, tmp_path, released):
    """On the public cases, which are the only ones that stock nbgrader has."""
    stock = small.copy(released, tmp_path / "stock")
    config = (stock / "nbgrader_config.py").read_text().partition("# The verdict is made outside")[0]
    (stock / "nbgrader_config.py").write_text(config)
    comparable = {name: CLASS[name] for name in ("honest", "flipped", "half")}
    for student, notebook in comparable.items():
        hand_in(stock, student, notebook)
    assert demo.nbgrader(stock, "autograde", CHAPTER.folder) == 0, (stock / "nbgrader.log").read_text()
    assert small.grade(graded, public_cases=True) == 0
    ours = demo.scores(graded, CHAPTER)
    assert demo.scores(stock, CHAPTER) == {student: ours[student] for student in comparable}


def test_the_feedback_shows_nothing_of_a_submission_but_text(course):
    answer = f"class Evil(Exception): pass\ndef conv2d(x, f): print({HOSTILE!r}); raise Evil({HOSTILE!r})"
    own = f"from IPython.display import HTML, Javascript, display\ndisplay(HTML({HOSTILE!r}), Javascript('alert(2)'))"
    notebook = handed_in(
        {"conv2d": answer, "why_floor": HOSTILE}, after=[own, f"print({HOSTILE!r})", f"raise ValueError({HOSTILE!r})"]
    )
    notebook.cells.append(new_markdown_cell(HOSTILE + "\n\n[x](javascript:alert(3))"))
    notebook.metadata["title"] = HOSTILE
    notebook.cells[-1].metadata["tags"] = ['"><script>alert(4)</script>']
    hand_in(course, "evil", notebook)
    assert small.grade(course) == 0
    assert demo.nbgrader(course, "generate_feedback", CHAPTER.folder) == 0
    page = (course / "feedback" / "evil" / CHAPTER.folder / f"{CHAPTER.name}.html").read_text()
    assert "your code raised Evil" in page
    for live in ("<script>alert", "<img src=x", "\x1b", 'href="javascript:', "alert(2)</script>", '"><script'):
        assert live not in page, live


def test_a_report_says_which_case_failed_and_what_the_mistake_is_called(graded):
    [report] = [
        c
        for c in autograded(graded, "flipped").cells
        if c.metadata.get("nbgrader", {}).get("grade_id") == "check_conv2d"
    ]
    shown, result = report.outputs
    assert "The filter is flipped" in shown.data["text/plain"]
    assert float(result.data["text/plain"]) == demo.scores(graded, CHAPTER)["flipped"]["check_conv2d"]


def test_the_feedback_says_what_happened_to_a_cell_that_died(graded):
    text = nbformat.writes(autograded(graded, "hung"))
    assert "had not finished after 2 seconds" in text
    assert "ended the Python process" in nbformat.writes(autograded(graded, "killed"))
    assert "could not be graded" in autograded(graded, "broken").cells[0].source


def test_a_wrong_file_name_is_found_and_no_file_at_all_is_a_zero(course):
    hand_in(course, "copy", handed_in(), name="convolution (1).ipynb")
    hand_in(course, "text", handed_in(), name="convolution.ipynb.txt")
    (course / "submitted" / "nothing" / CHAPTER.folder).mkdir(parents=True)
    assert small.grade(course) == 0
    found = demo.scores(course, CHAPTER)
    assert found["copy"] == found["text"] == FULL | {"why_floor": None}
    assert found["nothing"] == dict.fromkeys(FULL | {"why_floor": None}, 0.0)
    assert "convolution (1).ipynb" in autograded(course, "copy").cells[0].source


def test_links_lead_nowhere(course):
    secret = course / "gradebook.db"
    hand_in(course, "honest", handed_in())
    path = hand_in(course, "thief", handed_in())
    path.unlink()
    path.symlink_to(course / "submitted" / "honest" / CHAPTER.folder / path.name)
    (path.parent / "data.csv").symlink_to(secret)
    (path.parent / "up.csv").symlink_to("../../../gradebook.db")
    hand_in(course, "sly", handed_in())
    (course / "submitted" / "sly" / CHAPTER.folder / "notes.csv").symlink_to(secret)
    assert small.grade(course) == 0
    found = demo.scores(course, CHAPTER)
    assert found["honest"] == found["sly"] == FULL | {"why_floor": None}
    assert found["thief"] == dict.fromkeys(FULL | {"why_floor": None}, 0.0)
    names = [path.name for path in (course / "autograded").rglob("*") if path.is_file()]
    assert set(names) == {f"{CHAPTER.name}.ipynb"}


def test_a_check_that_was_rewritten_is_ours_again_and_worth_what_it_was(course):
    notebook = handed_in({"conv2d": "conv2d = None"})
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "check_conv2d":
            cell.source = "3.0"
            cell.metadata.nbgrader["points"] = 1000
            cell.metadata.nbgrader["locked"] = False
    notebook.cells.append(new_code_cell("1000", metadata=notebook.cells[-2].metadata))
    hand_in(course, "cheat", notebook)
    assert small.grade(course) == 0
    assert demo.scores(course, CHAPTER)["cheat"]["check_conv2d"] == 0.0


# ---- records ----


def test_only_the_exercise_that_changed_is_run_again(monkeypatch):
    job = job_of(handed_in())
    first = grader.grade(job)
    meaning = records.meaning_of
    monkeypatch.setattr(records, "meaning_of", lambda c, n=None: "changed" if n == "pad2d" else meaning(c, n))
    looked_at = []
    find = grader.Session.find
    monkeypatch.setattr(grader.Session, "find", lambda *a: looked_at.append(a[2]) or find(*a))
    second = grader.grade(job, first)
    assert looked_at == ["pad2d"]
    assert scores(second) == scores(first) == FULL
    assert grader.grade(job, second) == {key: second[key] for key in ("checks", "outputs")}
    assert looked_at == ["pad2d"]


def test_an_exercise_means_its_own_cases_mistakes_and_reference(tmp_path, monkeypatch):
    for folder in ("autograder/exercises", "course_lib"):
        (tmp_path / folder).mkdir(parents=True)
    exercises, library = tmp_path / "autograder/exercises/a.py", tmp_path / "course_lib/a.py"
    text = (sandbox.ROOT / "autograder" / "exercises" / "convolution.py").read_text()
    exercises.write_text(text)
    library.write_text("from course_lib import b\n")
    (tmp_path / "course_lib/b.py").write_text("x = 1\n")
    monkeypatch.setattr(records, "ROOT", tmp_path)

    def meanings():
        records.meaning_of.cache_clear()
        return {name: records.meaning_of("a", name) for name in ("conv2d", "pad2d", "im2col")}

    before = meanings()
    exercises.write_text(text.replace("The products are averaged.", "They are averaged."))
    after = meanings()
    assert {name for name in before if before[name] != after[name]} == {"conv2d"}
    exercises.write_text(text + "\n# a comment\n")
    assert meanings() == before
    (tmp_path / "course_lib/b.py").write_text("x = 2\n")
    assert all(before[name] != value for name, value in meanings().items())
    records.meaning_of.cache_clear()


def test_a_cell_that_changed_is_run_again_with_all_that_follow():
    first = grader.grade(job_of(handed_in()))
    changed = job_of(handed_in({"conv2d": FLIPPED}))
    kept = records.kept(first, changed.steps, records.keys(changed, grader_seeds(changed)))
    assert set(kept["checks"]) == {"check_output_size"}


def grader_seeds(job):
    return {name: grader.seed_of(job, name) for name in grader._exercises(job)}


def test_the_class_secret_is_its_owners_alone_and_a_record_is_whole_or_absent(tmp_path):
    store = records.Store(tmp_path / ".grading")
    assert store.secret() == store.secret() and len(store.secret()) == 32
    assert stat.S_IMODE(os.stat(tmp_path / ".grading" / "secret").st_mode) == 0o600
    assert store.load("a", "b") == {}
    store.save("a", "../../b", {"x": 1})
    assert store.load("a", "../../b") == {"x": 1}
    store.path("a", "c").write_text("{half")
    assert store.load("a", "c") == {}
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".b")]


# ---- the other commands ----


def test_a_case_can_be_replayed_with_one_line(graded, capsys):
    options = {"student": "flipped", "exercise": "conv2d", "case": "a wide image"}
    assert replay.main(arguments(graded, **options)) == 1
    said = capsys.readouterr().out
    assert "FAIL  a wide image" in said and "expected: array" in said and "a tall image" not in said
    score = demo.scores(graded, CHAPTER)["flipped"]["check_conv2d"]
    assert f"conv2d: {score:g} of 3 points, fail" in said


def test_without_a_sandbox_grading_stops_and_says_how_to_get_one(course, monkeypatch, capsys):
    hand_in(course, "honest", handed_in())
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    assert small.grade(course) == 2
    assert "install it" in capsys.readouterr().err
    with pytest.raises(sandbox.SandboxUnavailable, match="install it"):
        sandbox.Zygote(CHAPTER)
    assert small.grade(course, unsandboxed=True) == 0
    assert demo.scores(course, CHAPTER)["honest"] == FULL | {"why_floor": None}


@pytest.mark.parametrize(
    ("command", "undone", "says"),
    [
        (["grade", "covolution"], (), "there is no chapter 'covolution'; the chapters are 01_convolution, 02_pooling"),
        (["grade", "1", "--students", "nobody"], (), "nothing is handed in as {}/submitted/nobody/01_convolution"),
        (["grade", "1"], ("notebooks",), "convolution.ipynb is missing: is {} the folder of the course?"),
        (["replay", "1", "honest", "conv2d"], ("notebooks",), "is {} the folder of the course?"),
        (["grade", "1"], ("gradebook.db",), "run: nbgrader generate_assignment 01_convolution"),
        (["replay", "1", "honest", "conv2d"], ("gradebook.db",), "run: nbgrader generate_assignment 01_convolution"),
    ],
)
def test_what_is_not_ready_is_named_with_what_to_do(course, command, undone, says, monkeypatch, capsys):
    hand_in(course, "honest", CLASS["honest"])
    for name in undone:
        shutil.rmtree(course / name) if (course / name).is_dir() else (course / name).unlink()
    monkeypatch.setattr(sys, "argv", ["python -m autograder", *command, "--course", str(course)])
    assert command_line() == 2
    assert says.format(course) in capsys.readouterr().err


def test_elsewhere_than_on_linux_the_message_says_so(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    assert "needs Linux" in sandbox.unavailable()


def test_a_plain_user_gets_the_same_sandbox(tmp_path):
    """Run as a user without privileges: inside a user namespace that has none."""
    script = tmp_path / "plain.py"
    script.write_text(
        "import json, sys\n"
        "from tests.grading.course import handed_in, job_of, scores\n"
        "from autograder.grading import grader\n"
        "import os\n"
        "looks = ['import os; os.fork()', 'print(os.listdir(\"/\"))']\n"
        "record = grader.grade(job_of(handed_in(after=looks)))\n"
        "grader.close()\n"
        "print(json.dumps([os.getuid(), scores(record), list(record['outputs'].values())]))\n"
    )
    plain = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    environment = os.environ | {"PYTHONPATH": str(sandbox.ROOT)}
    run = subprocess.run([*plain, sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    uid, found, outputs = json.loads(run.stdout)
    assert uid == 1000 and found == FULL
    assert "PermissionError" in outputs[-2]["failed"] and "'scratch'" in outputs[-1]["printed"]


def test_the_doctor_finds_nothing_wrong_where_the_tests_run(capsys):
    from autograder.grading import doctor

    assert doctor.main(arguments(None, chapter=CHAPTER.name)) == 0
    assert "a runner is ready after" in capsys.readouterr().out


def test_nothing_in_the_sandbox_knows_the_chapter_or_a_later_one():
    shown, _ = sandbox.readable(CHAPTER)
    names = {str(path.relative_to(sandbox.ROOT)) for path in shown if path.is_relative_to(sandbox.ROOT)}
    assert "autograder/grading/grader.py" not in names and "course_lib/convolution.py" not in names
    assert not any(name.startswith(("notebooks", "tests")) for name in names)
    for chapter in CHAPTERS:
        library = {path.stem for path in sandbox.own_modules(chapter) if path.parent.name == "course_lib"}
        sealed = {c.name for c in CHAPTERS if c.number >= chapter.number}
        assert not library & sealed
        assert {c.name for c in CHAPTERS if c.number < chapter.number} <= library
    packages = {path.name for path in shown}
    assert "numpy" in packages and not packages & {"torch", "tensorflow", "keras", "nbgrader", "dask"}


@pytest.mark.parametrize("chapter", [pytest.param(c, id=c.name) for c in CHAPTERS])
def test_the_course_own_solutions_get_full_marks_in_the_sandbox(chapter):
    source = read(source_path(chapter))
    rebuilt = submission.rebuild(reading.parse(text_of(source).encode()), source, {})
    assert rebuilt.notes == []
    steps = tuple(submission.steps(rebuilt.notebook, source))
    job = grader.Job(chapter.name, "author", steps, tuple(submission.preloads(source)), b"1" * 32)
    record = grader.grade(job)
    grader.close()
    assert {name: judged["score"] for name, judged in record["checks"].items() if judged["status"] != "pass"} == {}
    assert [output["failed"] for output in record["outputs"].values() if output["failed"]] == []
    assert len(record["checks"]) == sum(step.kind == "check" for step in steps) > 0
