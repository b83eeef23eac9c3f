"""What a class's verdicts say: how hard each exercise is, which cases fail and why, who is stuck."""

import inspect
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

SMALL_CLASS = 10  # below, a correlation says little
FEW = 3  # students who fail in the same way make a pattern


@dataclass(frozen=True)
class ExerciseRow:
    """One exercise in numbers.

    ``difficulty`` is the mean share of its points (1: everybody has all). ``discrimination`` is the corrected
    item-total correlation: Pearson's between the share earned here and the points earned in all *other* exercises; None
    where one of the two is the same for everybody. (Crocker & Algina, *Introduction to Classical and Modern Test
    Theory*, chapter 14.)
    """

    name: str
    points: float
    difficulty: float
    discrimination: float | None
    passed: int
    failed: int
    raised: int
    not_attempted: int


@dataclass(frozen=True)
class CaseRow:
    """One case: how many of those who attempted the exercise fail it."""

    exercise: str
    case: str
    failed: int
    attempted: int

    @property
    def rate(self):
        return self.failed / self.attempted if self.attempted else 0.0


@dataclass(frozen=True)
class MistakeRow:
    """A mistake that has a name, and who makes it."""

    exercise: str
    name: str
    message: str
    students: tuple


@dataclass(frozen=True)
class Pattern:
    """Students who fail exactly the same cases of an exercise and pass its others.

    ``where`` says what these cases have in common and no other has, such as ``stride > 1``; empty if nothing simple
    does. ``mistakes`` counts the named mistakes among these students.
    """

    exercise: str
    cases: tuple
    of: int  # how many cases the exercise has
    where: str
    students: tuple
    mistakes: tuple  # of (message, count), the most common first


@dataclass(frozen=True)
class Stuck:
    """A student who is stuck and the sentences that say why."""

    student: object
    reasons: tuple


def exercises(group):
    """A row for each exercise, in the chapter's order."""
    graded = group.graded
    points = {name: np.array([_score(s, name) for s in graded]) for name in group.exercises}
    total = sum(points.values()) if points else 0.0
    rows = []
    for name, exercise in group.exercises.items():
        status = Counter(s.results[name].status for s in graded if name in s.results)
        share = points[name] / exercise.points
        rows.append(
            ExerciseRow(
                name,
                exercise.points,
                float(share.mean()) if len(graded) else 0.0,
                correlation(share, total - points[name]),
                status["pass"],
                status["fail"],
                status["raised"],
                status["not attempted"],
            )
        )
    return rows


def _score(student, exercise):
    return student.results[exercise].score if exercise in student.results else 0.0


def correlation(x, y):
    """Pearson's correlation of two arrays of shape (n,); None if either is constant or n < 3."""
    if len(x) < 3 or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def backwards(row, n):
    """Whether those who do well elsewhere do worse here: a correlation two standard errors of zero (1/√n) below it."""
    return n >= SMALL_CLASS and row.discrimination is not None and row.discrimination < -2 / n**0.5


def cases(group):
    """A row for each case of each exercise, in their order."""
    rows = []
    for name in group.exercises:
        tried = [s.results[name] for s in group.graded if name in s.results and s.results[name].attempted]
        names = dict.fromkeys(case for result in tried for case in result.cases)
        rows += [
            CaseRow(name, case, sum(not r.cases.get(case, True) for r in tried), sum(case in r.cases for r in tried))
            for case in names
        ]
    return rows


def mistakes(group):
    """The named mistakes that were made, the most common first."""
    made = defaultdict(list)
    for student in group.graded:
        for name, result in student.results.items():
            if result.mistake is not None:
                made[name, result.mistake].append(student)
    rows = [MistakeRow(e, m, message(group, e, m), tuple(students)) for (e, m), students in made.items()]
    return sorted(rows, key=lambda row: (-len(row.students), row.exercise, row.name))


def message(group, exercise, mistake):
    """What a student is told about a mistake; its bare name if the exercise no longer knows it."""
    known = group.exercises[exercise].mistakes if exercise in group.exercises else ()
    return next((m.message for m in known if m.name == mistake), mistake)


def patterns(group):
    """The groups of at least ``FEW`` students with the same failing cases, the largest first."""
    alike = defaultdict(list)
    for student in group.graded:
        for name, result in student.results.items():
            if name in group.exercises and result.attempted and result.failing:
                alike[name, result.failing].append(student)
    rows = []
    for (name, failing), students in alike.items():
        if len(students) >= FEW:
            order = students[0].results[name].cases
            counted = Counter(s.results[name].mistake for s in students)
            named = [(message(group, name, m), n) for m, n in counted.most_common() if m is not None]
            where = common(group.exercises[name], failing)
            in_order = tuple(case for case in order if case in failing)
            rows.append(Pattern(name, in_order, len(order), where, tuple(students), tuple(named)))
    return sorted(rows, key=lambda row: (-len(row.students), row.exercise, row.cases))


# ---- what cases have in common ----


def common(exercise, failing):
    """What tells these cases from the exercise's others, such as ``stride > 1``; empty if nothing simple does.

    Looks at numbers, flags and optional arguments; then, with two cases on each side, at the shapes of arrays. Several
    arguments that tell are joined by "and": from these cases it cannot be known which of them it is.
    """
    drawn = exercise.draw()
    inside = [_features(exercise, case) for case in drawn if case.name in failing]
    outside = [_features(exercise, case) for case in drawn if case.name not in failing]
    if not inside or not outside:
        return ""
    shared = [key for key in inside[0] if all(key in features for features in (*inside, *outside))]
    for of_shape in (False, True):
        if of_shape and min(len(inside), len(outside)) < 2:
            break  # one shape is easily unlike the others by chance
        keys = [key for key in shared if key[1] == of_shape]
        said = [_told_apart(key[0], [f[key] for f in inside], [f[key] for f in outside]) for key in keys]
        said = [text for text in said if text and (not of_shape or " > 1" in text or "square" in text)]
        if said:
            return said[0] if of_shape else " and ".join(said)
    return ""


def _told_apart(name, inside, outside):
    if any(isinstance(value, bool) for value in (*inside, *outside)):
        return name if all(inside) and not any(outside) else ""
    if len(set(outside)) == 1 and outside[0] not in inside and any(v != int(v) for v in inside):
        return f"{name} ≠ {outside[0]:g}"
    if min(inside) > max(outside):
        return f"{name} > {max(outside):g}"
    if max(inside) < min(outside):
        return f"{name} < {min(outside):g}"
    if len(set(inside)) == 1 and inside[0] not in outside:
        return f"{name} = {inside[0]:g}"
    return ""


def _features(exercise, case):
    """Numbers and flags among a case's arguments, and the sides of its arrays: ``{(words, of_shape): value}``."""
    try:
        signature = inspect.signature(exercise.reference)
        bound = signature.bind(*case.args, **case.kwargs)
        bound.apply_defaults()
        arguments, optional = bound.arguments, [p.name for p in signature.parameters.values() if p.default is None]
    except (TypeError, ValueError):
        arguments, optional = case.kwargs, ()  # the exercise drives an object: positions have no names
    found = {(f"{name} given", False): arguments[name] is not None for name in optional}
    for name, value in arguments.items():
        if isinstance(value, (bool, int, float, np.integer, np.floating)):
            if np.isfinite(value):
                found[name, False] = value
        elif isinstance(value, np.ndarray) and value.ndim:
            found |= {(f"size of {name} along axis {axis}", True): size for axis, size in enumerate(value.shape)}
            if value.ndim >= 2:
                found[f"{name} not square", True] = value.shape[-1] != value.shape[-2]
    return found


# ---- who is stuck ----

RULE = (
    "A student is called stuck who attempted an exercise and passes none of its cases although more than half of the "
    "class passes all of them, or who has attempted nothing from some exercise on, two or more in a row up to the "
    "end, although more than half of the class attempted each of them."
)


def stuck(group):
    """The students to whom ``RULE`` applies."""
    graded, names = group.graded, list(group.exercises)
    results = {name: [s.results[name] for s in graded if name in s.results] for name in names}
    most_pass = {name for name in names if sum(r.status == "pass" for r in results[name]) > len(graded) / 2}
    most_try = {name for name in names if sum(r.attempted for r in results[name]) > len(graded) / 2}
    found = []
    for student in graded:
        lost = [
            name
            for name, result in student.results.items()
            if name in most_pass and result.attempted and not any(result.cases.values())
        ]
        reasons = [f"passes no case of {', '.join(lost)}, which most of the class pass"] if lost else []
        tried = [k for k, name in enumerate(names) if name in student.results and student.results[name].attempted]
        left = names[tried[-1] + 1 :] if tried else names
        if len(left) >= 2 and all(name in most_try for name in left):
            reasons.append(f"attempted nothing from {left[0]} on ({len(left)} of {len(names)} exercises)")
        if reasons:
            found.append(Stuck(student, tuple(reasons)))
    return found
