"""The report on a class of which it is known who does what."""

import csv
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from nbgrader.api import Gradebook

from autograder import NotReady
from autograder.exercises import convolution
from autograder.grading import grader
from autograder.teaching import activity, alike, analysis, gathered, report, sheets
from autograder.teaching.page import Report
from tests.grading import course as small
from tests.teaching import planted

NAMES = {"0003": ("Zoë", "O'Brien, née Müller"), "0061": ("<script>alert(1)</script>", "=HYPERLINK(0)")}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The planted class, handed in and graded by the engine into nbgrader's gradebook; some students have names."""
    folder = tmp_path_factory.mktemp("class") / "course"
    planted.hand_in(folder)
    assert small.grade(folder, workers=2) == 0
    grader.close()
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        for student, (first, last) in NAMES.items():
            gradebook.update_or_create_student(student, first_name=first, last_name=last)
    return folder


@pytest.fixture(scope="module")
def group(course):
    return gathered.gather("convolution", course)


def write(course, folder, **options):
    given = {"chapter": "1", "course": course, "anonymous": False, "output": folder}
    assert report.main(SimpleNamespace(**given | options)) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(course, tmp_path_factory):
    """The folder into which the class's report is written."""
    folder = tmp_path_factory.mktemp("written") / "report"
    write(course, folder)
    return folder


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.references, self.tags, self.words, self.depth = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def ids(students):
    return sorted(student.id for student in students)


# ---- the planted class ----


def test_everybody_is_graded(group):
    assert ids(group.graded) == planted.IDS
    assert not group.notes
    assert not any(student.changed for student in group.students)


def test_the_fourteen_who_fail_for_strides_above_one_are_found_and_what_they_share_is_said(group):
    first, *others = analysis.patterns(group)
    assert (first.exercise, first.where, ids(first.students)) == ("conv2d_strided", "stride > 1", planted.STRIDE)
    assert [count for _, count in first.mistakes] == [8, 6]
    assert first.mistakes[1][0] == "The stride is ignored."
    assert [(p.exercise, ids(p.students)) for p in others] == [
        ("receptive_field", planted.NO_JUMP),
        ("conv2d", planted.FLIPPED),
    ]


def test_named_mistakes_are_counted(group):
    rows = {(row.exercise, row.name): ids(row.students) for row in analysis.mistakes(group)}
    assert rows == {
        ("conv2d_strided", "moves_by_one"): planted.MOVES_BY_ONE,
        ("conv2d_strided", "no_stride"): planted.NO_STRIDE,
        ("conv2d", "flipped"): planted.FLIPPED,
        ("receptive_field", "strides_ignored"): planted.NO_JUMP,
    }


def test_the_one_who_is_stuck_is_the_only_one_called_so(group):
    [row] = analysis.stuck(group)
    assert row.student.id == planted.STUCK
    assert row.reasons == (
        "passes no case of conv2d_strided, which most of the class pass",
        "attempted nothing from im2col on (4 of 8 exercises)",
    )


def test_the_two_copies_are_the_only_pair_that_looks_alike(group):
    [pair] = alike.pairs(group)
    assert (pair.first.id, pair.second.id) == (planted.AUTHOR, planted.COPIER)
    assert pair.share > 0.9
    assert all("<mark>" in code for code in pair.marked)


def test_each_case_has_its_failure_rate(group):
    rows = {(row.exercise, row.case): row for row in analysis.cases(group)}
    assert rows["conv2d_strided", "stride 2"].failed == len(planted.STRIDE) + 1  # and the one who is stuck
    assert rows["conv2d_strided", "a bias"].failed == 1
    assert rows["conv2d", "the worked example"].rate == len(planted.FLIPPED) / 100
    assert rows["im2col", "stride 2"].attempted == 99
    assert len(rows) == sum(len(exercise.draw()) for exercise in group.exercises.values())


def test_difficulty_and_discrimination_follow_from_the_scores(group):
    rows = {row.name: row for row in analysis.exercises(group)}
    assert rows["output_size"].difficulty == 1
    assert rows["output_size"].discrimination is None
    assert rows["receptive_field"].passed == 93
    strided = rows["conv2d_strided"]
    assert (strided.passed, strided.failed, strided.raised, strided.not_attempted) == (85, 14, 1, 0)
    assert strided.difficulty == pytest.approx((85 + 14 * 0.4) / 100, abs=1e-3)
    assert rows["im2col"].discrimination > 0.5  # whoever lacks it lacks nearly everything else


def test_the_page_says_exactly_what_was_planted(written):
    text = Page((written / "report.html").read_text(encoding="utf-8")).text
    found = text[text.index("What stands out") : text.index("Distribution of the scores")]
    assert "14 of 100 fail conv2d_strided only where stride > 1 (4 of 7 cases)." in found
    assert "6 of 100 fail receptive_field the same 3 of 8 cases. All of them: “The strides are ignored" in found
    assert "5 of 100 fail conv2d the same 6 of 7 cases. All of them: “The filter is flipped”" in found
    assert "1 student is stuck: 0091." in found
    assert "(0061) and 0078 share 97% of what is unusual in their code." in found
    assert found.count("more") == 5, "nothing else stands out"


def test_the_page_is_one_file_that_refers_to_nothing_outside_it(written):
    raw = (written / "report.html").read_text(encoding="utf-8")
    page = Page(raw)
    assert all(reference.startswith("#") for reference in page.references)
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import", raw)
    assert "<script>" not in raw, "a name is text"


def test_without_names_no_name_id_or_code_is_in_any_file(course, tmp_path):
    write(course, tmp_path / "hidden", anonymous=True)
    everything = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "hidden").iterdir())
    for student in planted.IDS:
        assert not re.search(rf"(?<![\w.#]){student}(?!\w)", everything)
    for words in ("Zoë", "Müller", "HYPERLINK", "I thought of this", "n_out"):
        assert words not in everything
    assert "14 of 100 fail conv2d_strided only where stride &gt; 1" in everything


def test_pseudonyms_stay_the_same_and_hide_the_order_of_names(course):
    first, second = (gathered.gather("1", course, anonymous=True, with_code=False) for _ in range(2))
    labels = {student.id: student.label for student in first.students}
    assert labels == {student.id: student.label for student in second.students}
    assert sorted(labels.values()) == sorted(f"student {k}" for k in range(1, 101))
    assert [student.id for student in first.students] != planted.IDS


def test_the_csv_files_parse_and_agree_with_the_page(written):
    students = {row["student"]: row for row in table(written / "students.csv")}
    assert len(students) == 100
    assert students["0011"]["mistake_conv2d_strided"] == "moves_by_one"
    assert students["0001"]["score"] == "25.0"
    assert "O'Brien, née Müller, Zoë (0003)" in students
    assert "'=HYPERLINK(0), <script>alert(1)</script> (0061)" in students, "a spreadsheet must not compute a name"
    assert len(table(written / "exercises.csv")) == 8
    [pair] = table(written / "alike.csv")
    assert pair["second"] == "0078"
    assert table(written / "patterns.csv")[0]["only_where"] == "stride > 1"


def test_a_submission_that_is_handed_in_again_is_called_changed(course, tmp_path, capsys):
    path = course / "submitted" / "0002" / planted.CHAPTER.folder / f"{planted.CHAPTER.name}.ipynb"
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text.replace("def output_size", "def  output_size"), encoding="utf-8")
        page = Page(write(course, tmp_path / "report")).text
    finally:
        path.write_text(text, encoding="utf-8")
    assert "have changed since: 0002." in page
    assert "1 submissions are not graded as they stand; run: python -m autograder grade" in capsys.readouterr().err


# ---- a small class: what is missing, and time ----


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """One graded with a progress file, one with a broken one, one unreadable, one not graded, one who is absent."""
    folder = small.make(tmp_path_factory.mktemp("small") / "course")
    for student in ("ana", "ben"):
        small.hand_in(folder, student, small.handed_in())
    small.hand_in(folder, "cleo", b"not a notebook")
    assert small.grade(folder) == 0
    grader.close()
    small.hand_in(folder, "dan", small.handed_in())
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        gradebook.add_student("eve", first_name="Eve")
    event = {"chapter": small.CHAPTER.folder, "exercise": "conv2d", "event": "check", "passed": False}
    minutes = (0, 4, 9, 30, 31)  # a pause of 21 minutes does not count
    lines = [json.dumps(event | {"when": f"2026-03-02T10:{minute:02d}:00"}) for minute in minutes]
    lines.append(json.dumps(event | {"event": "hint", "when": "2026-03-02T10:33:00"}))
    lines.append(json.dumps(event | {"chapter": "02_pooling", "when": "2026-03-02T10:34:00"}))
    handed_in = folder / "submitted"
    (handed_in / "ana" / small.CHAPTER.folder / activity.FILE).write_text("\n".join(lines))
    (handed_in / "ben" / small.CHAPTER.folder / activity.FILE).write_text('{"event": "check"}\n')
    return folder


def test_who_is_not_in_the_report_is_named_with_what_to_do(four):
    group = gathered.gather("1", four)
    assert {s.id: s.state for s in group.students} == {
        "ana": "graded",
        "ben": "graded",
        "cleo": "unreadable",
        "dan": "not graded",
        "eve": "missing",
    }
    text = Page(Report(group).html()).text
    assert "Handed in but not graded: dan. Run python -m autograder grade 01_convolution" in text
    assert "Nothing handed in: Eve (eve)." in text
    assert "could not be read or was graded elsewhere: cleo." in text


def test_time_is_added_up_from_short_gaps_and_a_bad_file_is_left_out_with_a_word(four):
    group = gathered.gather("1", four)
    told = {s.id: s.activity for s in group.students if s.activity}
    assert list(told) == ["ana"]
    assert told["ana"].minutes == {"conv2d": 4 + 5 + 1 + 2}
    assert (told["ana"].checks, told["ana"].hints) == ({"conv2d": 5}, {"conv2d": 1})
    assert group.notes == ["The progress file of ben is left out: line 1 cannot be read."]
    assert "From the progress files of 1 of 5 students" in Page(Report(group).html()).text


def test_without_progress_files_the_time_is_said_to_be_unknown(group):
    assert "Not known. A notebook holds no times" in Page(Report(group).html()).text


@pytest.mark.parametrize(
    "content",
    ["", "[]\n", "null", '{"event": "check", "exercise": 3, "chapter": 1, "when": "2026-01-01"}', "\x00", "[" * 10_000],
)
def test_no_content_of_a_progress_file_stops_the_report(tmp_path, content):
    (tmp_path / activity.FILE).write_text(content)
    try:
        assert activity.read(tmp_path / activity.FILE, small.CHAPTER).total == 0
    except activity.BadFile as problem:
        assert str(problem).startswith("line 1 ")


def test_a_progress_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / activity.FILE).symlink_to(tmp_path / "target")
    with pytest.raises(activity.BadFile, match="a link"):
        activity.read(tmp_path / activity.FILE, small.CHAPTER)


def test_an_unreleased_chapter_is_refused_with_the_command_to_run(four):
    arguments = SimpleNamespace(chapter="2", course=four, anonymous=False, output=None)
    with pytest.raises(NotReady, match="run: nbgrader generate_assignment 02_pooling"):
        report.main(arguments)


# ---- what cases have in common ----


@pytest.mark.parametrize(
    ("exercise", "mistake", "says"),
    [
        ("conv2d_strided", "no_bias", "bias ≠ 0"),
        ("conv2d_strided", "no_padding", "padding > 0"),
        ("conv2d_nchw", "nchw_no_bias", "bias given"),
        ("conv2d_nchw", "channels_averaged", "size of x along axis 1 > 1"),
        ("conv2d_nchw", "nchw_no_padding", "stride > 1 and padding > 0"),  # its one case has both
        ("conv2d", "flipped", ""),
        ("conv2d", "last_position_missing", ""),  # every case: nothing to tell them from
    ],
)
def test_what_failing_cases_share_is_said_only_where_it_tells_them_from_the_others(exercise, mistake, says):
    exercise = getattr(convolution, exercise)
    wrong = next(m.wrong for m in exercise.mistakes if m.name == mistake)
    failing = {result.case.name for result in exercise.judge(wrong).results if not result.passed}
    assert analysis.common(exercise, failing) == says


def test_a_cell_that_looks_like_a_formula_gets_a_quote():
    given = ["=1+1", "+1", "-1", "@A1", "\tx", "\r=1", "fine", "a=1", -1.5, None, ""]
    expected = ["'=1+1", "'+1", "'-1", "'@A1", "'\tx", "'\r=1", "fine", "a=1", -1.5, "", ""]
    assert [sheets.harmless(value) for value in given] == expected
