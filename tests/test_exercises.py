"""The checks are checked: right answers pass, every known mistake fails and is called by its name."""

import functools

import pytest

from autograder.answer import Outcome, Raised, run
from autograder.grading.grader import drawn
from autograder.verdict import judge
from tests.conftest import EXERCISES, right_answers
from tests.mutants import ENOUGH, survey

SEEDS = (None, 1, 2)  # the public cases, and two draws such as a grader makes


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_the_reference_passes(exercise, chapter):
    for seed in SEEDS:
        assert exercise.judge(exercise.reference, seed).passed


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_two_different_right_answers_pass(exercise, chapter):
    answers = right_answers(chapter, exercise)
    assert len(answers) >= 2
    for answer in answers:
        for seed in SEEDS:
            verdict = exercise.judge(answer, seed)
            assert verdict.passed, f"{answer.__name__}: {verdict.first_failure}"


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_every_known_mistake_fails_and_is_called_by_its_name(exercise, chapter):
    assert exercise.mistakes
    for mistake in exercise.mistakes:
        for seed in SEEDS:
            verdict = exercise.judge(mistake.wrong, seed)
            assert verdict.status in ("fail", "raised"), f"{mistake.name} passes with seed {seed}"
            assert verdict.mistake is mistake, f"{mistake.name} is taken for {verdict.mistake}"


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_what_a_student_reads_is_there(exercise, chapter):
    assert exercise.task
    assert len(exercise.hints) >= 2
    assert exercise.hints[0].rstrip().endswith("?") or "?" in exercise.hints[0]
    names = [case.name for case in exercise.draw()]
    assert len(names) == len(set(names)) >= 3


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_the_same_seed_draws_the_same_cases(exercise, chapter):
    assert repr(exercise.draw(7)) == repr(exercise.draw(7))


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_results_learnt_by_heart_earn_nothing(exercise, chapter):
    """Every exercise has cases that are drawn anew for each student."""
    cases = drawn(exercise, 7)
    lost = Outcome(raised=Raised("KeyError", "not learnt"))
    know = functools.partial(run, exercise.drive, exercise.reference, may_write=exercise.may_write)
    learnt = [know(case) if case.known else lost for case in cases]
    assert judge(exercise, cases, learnt).score == 0


@pytest.mark.parametrize(("exercise", "chapter"), EXERCISES)
def test_mutants_of_the_reference_are_caught(exercise, chapter):
    caught, survivors = survey(exercise)
    share = caught / (caught + len(survivors))
    assert share >= ENOUGH, "\n".join(survivors)
