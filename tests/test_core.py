"""The exercise core: whatever a student returns or does, the check says what is wrong and nothing breaks."""

import re

import numpy as np
import pytest
import torch

from autograder import report
from autograder.answer import Alien, Outcome, plain
from autograder.compare import Tolerance, difference
from autograder.exercise import CheckFailed, case, exercise, exercises_of  # noqa: F401
from autograder.exercises import convolution
from autograder.verdict import judge


@exercise(reference="numpy:cumsum", points=3, hints=("what is a sum?", "add them up"))
def running_sum(rng):
    """Running sums of a vector."""
    yield case("one number", np.array([2.0]))
    yield case("three numbers", np.array([1.0, 2.0, 4.0]))
    yield case("random numbers", rng.normal(size=6))


@running_sum.mistake("The sum starts anew at each entry.")
def copied(reference, x):
    return x.copy()


class LyingArray(np.ndarray):
    """Says that it equals everything."""

    def __eq__(self, other):
        return np.ones(self.shape, bool)

    __hash__ = None

    def __array_ufunc__(self, *args, **kwargs):
        return np.zeros(3)


class LyingObject:
    __class__ = np.ndarray
    shape = (3,)

    def __eq__(self, other):
        return True

    __hash__ = None


def wrong_values(x):
    return np.cumsum(x) + 1


def lying_array(x):
    return (np.cumsum(x) + 1).view(LyingArray)


def with_nan(x):
    y = np.cumsum(x)
    y[-1] = np.nan
    return y


RESULTS = {  # what an answer returns, and what is said about it
    "None": (lambda x: None, "is a `return` missing"),
    "a list": (lambda x: list(np.cumsum(x)), "a list of 1 element, expected a NumPy array of shape"),
    "a scalar": (lambda x: float(x.sum()), r"the single number 2, expected shape \(1,\)"),
    "a NumPy scalar": (lambda x: x.sum(), "the single number 2"),
    "a torch scalar": (lambda x: torch.tensor(2.0), "the single number 2"),
    "text": (lambda x: "three", "the text 'three'"),
    "a set": (lambda x: {1, 2}, "a set, expected"),
    "another shape": (lambda x: np.cumsum(x)[None], r"shape \(1, 1\), expected shape \(1,\)"),
    "integers": (lambda x: np.cumsum(x).astype(int), "integers, expected floating-point"),
    "booleans": (lambda x: np.cumsum(x) > 0, "booleans, expected"),
    "complex numbers": (lambda x: np.cumsum(x) + 0j, "complex numbers"),
    "Python objects": (lambda x: np.cumsum(x).astype(object), "an array of Python objects, not of numbers"),
    "text in an array": (lambda x: np.cumsum(x).astype(str), "an array of dtype .*, not of numbers"),
    "NaN": (with_nan, r"NaN \(not a number\) at \[0\]"),
    "infinity": (lambda x: np.cumsum(x) + np.inf, "is inf at"),
    "a huge array": (lambda x: np.broadcast_to(x[0], (10**6, 10**6)), r"shape \(1000000, 1000000\), .* GiB"),
    "an integer of 100 digits": (lambda x: 10**100, "an array of Python objects"),
    "a nest of lists": (lambda x: [[[[[[1]]]]]], "a list of 1 element"),
    "an array that lies": (lying_array, r"is 3 at \[0\], expected 2"),
    "an object that lies": (lambda x: LyingObject(), "a LyingObject, expected"),
    "a masked array": (lambda x: np.ma.masked_array(np.cumsum(x) + 1, mask=True), "is 3 at"),
    "an empty array": (lambda x: np.zeros(0), r"shape \(0,\), expected shape \(1,\)"),
    "a function": (lambda x: np.cumsum, "a function|a builtin|an? .* expected"),
    "wrong values": (wrong_values, r"is 3 at \[0\], expected 2"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_wrong_result_is_described(name):
    answer, says = RESULTS[name]
    verdict = running_sum.judge(answer)
    assert verdict.status == "fail"
    assert verdict.score == 0
    page = report.page(verdict)
    assert re.search(says, page.text), page.text
    assert "<div" in page._repr_html_()


RIGHT_KINDS = {
    "float32": lambda x: np.cumsum(x).astype(np.float32),
    "a tensor": lambda x: torch.cumsum(torch.from_numpy(x), 0),
    "a tensor with a gradient": lambda x: torch.cumsum(torch.from_numpy(x), 0).requires_grad_(),
    "a parameter": lambda x: torch.nn.Parameter(torch.cumsum(torch.from_numpy(x), 0)),
    "a tensor whose sign is not applied yet": lambda x: (
        torch.complex(torch.from_numpy(x), -torch.cumsum(torch.from_numpy(x), 0)).conj().imag
    ),
    "a subclass": lambda x: np.cumsum(x).view(LyingArray),
    "a view with strides": lambda x: np.repeat(np.cumsum(x), 2)[::2],
    "Fortran order": lambda x: np.asfortranarray(np.cumsum(x)),
    "big-endian": lambda x: np.cumsum(x).astype(">f8"),
}


@pytest.mark.parametrize("name", RIGHT_KINDS)
def test_a_right_result_of_another_kind_passes(name):
    assert running_sum.judge(RIGHT_KINDS[name]).passed


def test_numbers_of_every_kind_are_numbers():
    for one in (1, np.int8(1), np.int64(1), np.array(1), torch.tensor(1), np.uint8(1)):
        assert difference(plain(one), plain(1)) is None
    assert difference(plain(True), plain(1)).kind == "dtype"
    assert difference(plain(1.0), plain(1)).kind == "dtype"


def test_tensors_inside_lists_and_dictionaries_become_arrays_and_bfloat16_becomes_float32():
    x = torch.arange(6.0).reshape(2, 3)
    for held in ({"y": x}, [x.T.contiguous().T], (x.expand(1, 2, 3)[0],)):
        [found] = plain(held).values() if isinstance(held, dict) else plain(held)
        assert type(found) is np.ndarray and found.dtype == np.float32
        np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3))
    assert plain(x.to(torch.bfloat16)).dtype == np.float32


def test_an_argument_that_is_written_into_is_a_failure_with_its_own_message_and_harms_no_other_case():
    def careless(x):
        np.cumsum(x, out=x)
        return x

    verdict = running_sum.judge(careless)
    assert [r.passed for r in verdict.results] == [True, False, False]  # one number is its own sum: nothing changed
    assert "changed its argument" in report.page(verdict).text
    np.testing.assert_array_equal(verdict.results[1].case.args[0], [1, 2, 4])


def test_writing_into_arguments_can_be_allowed():
    allowed = exercise(reference="numpy:cumsum", points=1, may_write=True)(running_sum._cases)
    assert allowed.judge(lambda x: np.cumsum(x, out=x)).passed


def test_arguments_of_a_case_have_the_names_that_the_exercises_own_drive_gives_them():
    def drive(answer, first, second):
        return answer(first) + second

    def cases(rng):
        yield case("three numbers", np.arange(3.0), 4)

    driven = exercise(reference="numpy:cumsum", points=1, drive=drive)(cases)
    text = report.page(driven.judge(lambda x: x)).text
    assert "first = " in text and "second = 4" in text


def test_an_exception_is_shown_as_the_students_with_their_line():
    def broken(x):
        y = x * 2
        return y.no_such_method()

    verdict = running_sum.judge(broken)
    assert verdict.status == "raised"
    text = report.page(verdict).text
    assert "AttributeError" in text
    assert "return y.no_such_method()" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("raised", [SystemExit(3), RecursionError("deep"), MemoryError(), GeneratorExit()])
def test_whatever_an_answer_raises_ends_only_that_case(raised):
    def broken(x):
        if len(x) == 3:
            raise raised
        return np.cumsum(x)

    verdict = running_sum.judge(broken)
    assert verdict.status == "raised"
    assert verdict.n_passed == 2
    assert verdict.score == 2.0


def test_the_stop_button_still_stops():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running_sum.judge(interrupted)


def test_an_exception_whose_text_cannot_be_made_is_survived():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    def broken(x):
        raise Silent

    assert "Silent" in report.page(running_sum.judge(broken)).text


def stub(x):
    raise NotImplementedError


def test_a_stub_is_not_attempted_and_does_not_stop_the_notebook(capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    assert running_sum.check(stub) is None
    assert "not attempted" in capsys.readouterr().out


def test_an_answer_that_waits_for_another_exercise_is_told_which():
    verdict = running_sum.judge(lambda x: stub(x))
    assert verdict.status == "not attempted"
    assert "waits for stub, which is not written yet" in report.page(verdict).text


def test_check_outside_nbgrader_says_it_in_one_line_or_raises(capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    assert running_sum.check(np.cumsum) is None
    assert capsys.readouterr().out.count("\n") == 1
    with pytest.raises(CheckFailed, match="0 of 3 cases pass"):
        running_sum.check(wrong_values)


def test_check_under_autograde_returns_a_plain_float_and_never_the_students_value(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    for answer, points in ((np.cumsum, 3.0), (copied_answer, 1.0), (stub, 0.0), (lambda x: np.float64(99), 0.0)):
        score = running_sum.check(answer)
        assert type(score) is float
        assert score == points


def copied_answer(x):
    return x.copy()


def test_validate_sees_an_exercise_that_is_not_attempted(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    with pytest.raises(CheckFailed):
        running_sum.check(stub)


def test_what_an_answer_prints_reaches_the_page_bounded_and_escaped_but_not_the_cell(capsys):
    def noisy(x):
        for _ in range(100_000):
            print("<script>alert(1)</script>")
        return x - 1

    verdict = running_sum.judge(noisy)
    out, err = capsys.readouterr()
    assert out == err == ""
    page = report.page(verdict)
    assert "&lt;script&gt;" in page._repr_html_()
    assert "<script>" not in page._repr_html_()
    assert len(page.text) < 10_000


@pytest.mark.filterwarnings("default")
def test_warnings_of_an_answer_do_not_reach_stderr(capsys):
    def warns(x):
        return np.cumsum(x) + 0 * np.log(np.zeros(1))

    running_sum.judge(warns)
    assert capsys.readouterr().err == ""


def test_a_mistake_is_named(capsys):
    with pytest.raises(CheckFailed):
        running_sum.check(copied_answer)
    assert "The sum starts anew at each entry." in capsys.readouterr().out


def test_a_flipped_filter_is_called_a_true_convolution(capsys):
    with pytest.raises(CheckFailed):
        convolution.conv2d.check(lambda x, f: convolution.conv2d.reference(x, f[::-1, ::-1]))
    assert "true convolution" in capsys.readouterr().out


def test_hints_come_one_by_one_and_start_again(capsys):
    said = []
    for _ in range(4):
        running_sum.hint()
        said.append(capsys.readouterr().out)
    assert "what is a sum?" in said[0]
    assert "add them up" in said[1]
    assert "No more hints" in said[2]
    assert "what is a sum?" in said[3]


def test_solution_shows_code(capsys):
    convolution.receptive_field.solution()
    assert "jump *= S" in capsys.readouterr().out


def test_working_gives_the_students_function_only_if_it_passes(capsys):
    assert running_sum.working(RIGHT_KINDS["float32"]) is RIGHT_KINDS["float32"]
    assert running_sum.working(wrong_values) is np.cumsum
    assert running_sum.working(stub) is np.cumsum
    assert "does not pass its check yet" in capsys.readouterr().out


def test_tab_completion_offers_the_exercises_only():
    assert dir(convolution) == sorted(exercises_of(convolution))


def test_nested_results_are_compared_part_by_part_and_the_part_is_named():
    expected = plain({"dx": np.zeros(3), "db": (1.0, np.ones(2))})
    found = difference(plain({"dx": np.zeros(3), "db": [1.0, np.array([1.0, 2.0])]}), expected)
    assert found.where == "db[1]"
    assert found.index == (1,)
    assert "missing 'db'" in difference(plain({"dx": np.zeros(3)}), expected).message
    assert difference(plain({"dx": np.zeros(3), "db": (1.0, np.ones(2))}), expected) is None
    assert "return 1 values, 2" in difference(plain({"dx": np.zeros(3), "db": (1.0,)}), expected).message


def test_tolerances_are_those_stated():
    one = np.ones(2)
    assert difference(one + 1e-9, one) is None
    assert difference(one + 1e-5, one) is not None
    assert difference((one + 1e-5).astype(np.float32), one) is None
    assert difference(one.astype(np.float32), one, Tolerance(exact_dtype=True)).kind == "dtype"


@exercise(reference="numpy:sign", points=4, hints=("which sign?", "np.sign"), tolerance=Tolerance(share=0.75))
def guessed_labels(rng):
    """Guess most of the hidden labels."""
    yield case("four labels", np.arange(4)).expecting(np.array([1, 0, 1, 0]))


def test_a_case_may_know_its_right_result_and_keeps_it_from_the_answer():
    (only,) = guessed_labels.draw()
    assert only.truth.tolist() == [1, 0, 1, 0]
    assert "truth" not in only.kwargs and len(only.args) == 1
    assert guessed_labels.judge(lambda x: np.array([1, 0, 1, 0])).passed
    assert not guessed_labels.judge(np.sign).passed  # the reference is not asked


def test_what_a_case_should_give_is_computed_once():
    calls = []

    @exercise(reference="numpy:cumsum", points=3, drive=lambda answer, x: calls.append(answer) or answer(x))
    def sums(rng):
        yield case("a drawn vector", rng.normal(size=3))

    @sums.mistake("Nothing is added.")
    def same(reference, x):
        return x

    cases = sums.draw()
    for _ in range(3):  # a class that shares its cases
        judged = judge(sums, cases, [Outcome(plain(cases[0].args[0]))])
        assert judged.mistake.name == "same"
        assert judge(sums, cases, [Outcome(plain(np.cumsum(cases[0].args[0])))]).passed
    assert len(calls) == 2
    assert sums.draw()[0].results == {}


def test_where_a_share_is_enough_the_rest_may_be_wrong():
    assert guessed_labels.judge(lambda x: np.array([1, 0, 1, 7])).passed
    verdict = guessed_labels.judge(lambda x: np.array([1, 1, 1, 7]))
    assert verdict.first_failure.difference.message == "your result is right for 2 of 4 entries; 3 are needed"
    assert not guessed_labels.judge(lambda x: np.array([1, 0, 1])).passed


def test_an_array_of_bytes_beyond_the_limit_is_described_without_being_copied():
    assert isinstance(plain(np.broadcast_to(np.float64(0), (10**12,))), Alien)


def test_an_overlay_colours_classes_and_leaves_the_background_grey():
    from course_lib import plots

    image = np.array([[0, 255], [128, 64]], np.uint8)
    rgb = plots.overlay(image, np.array([[0, 1], [0, 3]]), alpha=0.5)
    np.testing.assert_allclose(rgb[0, 0], 0)
    np.testing.assert_allclose(rgb[1, 0], 128 / 255)
    np.testing.assert_allclose(rgb[0, 1], [0.5, 0.5 + 0x72 / 510, 0.5 + 0xB2 / 510])
