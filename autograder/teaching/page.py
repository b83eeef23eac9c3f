"""The report on a class as one HTML file without anything outside it, and as CSV files."""

import math
import statistics
from collections import Counter
from datetime import datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from autograder.teaching import activity, alike, analysis, sheets

BINS = 10


class Report:
    """All that the report says about a class; the template and the CSV files only lay it out."""

    def __init__(self, group, anonymous=False):
        self.group, self.anonymous = group, anonymous
        self.chapter = group.chapter
        self.graded = group.graded
        self.exercises = analysis.exercises(group)
        self.cases = analysis.cases(group)
        self.mistakes = analysis.mistakes(group)
        self.patterns = analysis.patterns(group)
        self.stuck = analysis.stuck(group)
        self.pairs = alike.pairs(group)
        self.scores = [s.score for s in group.students if s.score is not None and s.state != "missing"]
        self.waiting = [student for student in self.graded if student.waiting]
        self.timed = [student for student in group.students if student.activity is not None]
        self.late = [s for s in group.students if s.handed_in and group.due and s.handed_in > group.due]

    # ---- what stands out ----

    @property
    def findings(self):
        """The few sentences that a teacher needs first: pairs of a sentence and the section that tells more."""
        found, n = [], len(self.graded)
        for pattern in [p for p in self.patterns if len(p.students) >= max(analysis.FEW, 0.05 * n)][:4]:
            found.append((self.said(pattern), "wrong"))
        for row in [e for e in self.exercises if n and e.difficulty < 0.5]:
            found.append(
                (f"{row.name} is hard: on average {row.difficulty:.0%} of its points are earned.", "exercises")
            )
        for row in self.exercises:
            if analysis.backwards(row, n):
                text = f"{row.name}: who does well elsewhere does worse here ({row.discrimination:+.2f}). Look at it."
                found.append((text, "exercises"))
        if self.stuck:
            names = _listed([s.student.label for s in self.stuck])
            found.append((f"{_count(len(self.stuck), 'student')} stuck: {names}.", "stuck"))
        for pair in self.pairs[:3]:
            both = f"{pair.first.label} and {pair.second.label}"
            found.append((f"{both} share {pair.share:.0%} of what is unusual in their code.", "alike"))
        if len(self.pairs) > 3:
            found.append((f"{len(self.pairs) - 3} more pairs look alike.", "alike"))
        return found

    def said(self, pattern):
        """A pattern as a sentence."""
        share = "every case" if len(pattern.cases) == pattern.of else f"{len(pattern.cases)} of {pattern.of} cases"
        where = f"only where {pattern.where} ({share})" if pattern.where else f"the same {share}"
        if share == "every case":
            where = share
        text = f"{len(pattern.students)} of {len(self.graded)} fail {pattern.exercise} {where}"
        for words, count in pattern.mistakes[:2]:
            who = "All of them" if count == len(pattern.students) else f"{count} of them"
            text += f". {who}: “{words.split('. ')[0].rstrip('.')}”"
        return f"{text}."

    # ---- numbers for the charts ----

    @property
    def bins(self):
        """Of the histogram: lower and upper edge in points, and how many students."""
        most = self.group.max_score
        if not self.scores or not most:
            return []
        width = max(1, math.ceil(most / BINS))
        counts = Counter(min(int(score / width), math.ceil(most / width) - 1) for score in self.scores)
        return [(k * width, min((k + 1) * width, most), counts[k]) for k in range(math.ceil(most / width))]

    @property
    def summary(self):
        """Mean, median and quartiles of the scores; None without scores."""
        if len(self.scores) < 2:
            return None
        quartiles = statistics.quantiles(self.scores, n=4, method="inclusive")
        return {
            "mean": statistics.fmean(self.scores),
            "median": quartiles[1],
            "low": quartiles[0],
            "high": quartiles[2],
        }

    @property
    def by_hand(self):
        """Points of the questions graded by hand."""
        return sum(question.points for question in self.group.written.values())

    @property
    def times(self):
        """Of each exercise: its name, the median of the minutes, of the checks and of the hints, and how many told."""
        rows = []
        for name in self.group.exercises:
            told = [s.activity for s in self.timed if name in s.activity.checks or name in s.activity.minutes]
            if told:
                medians = [
                    statistics.median(part.get(name, 0) for part in parts)
                    for parts in ([a.minutes for a in told], [a.checks for a in told], [a.hints for a in told])
                ]
                rows.append((name, *medians, sum(name in a.solutions for a in told), len(told)))
        return rows

    def judgement(self, row):
        """A discrimination in words."""
        r = row.discrimination
        if r is None:
            return "all alike"
        if len(self.graded) < analysis.SMALL_CLASS:
            return "too few students"
        if analysis.backwards(row, len(self.graded)):
            return "look at it"
        return "separates little" if r < 0.2 else "separates" if r < 0.4 else "separates well"

    # ---- files ----

    def write(self, folder):
        """Write ``report.html`` and the CSV files.

        Returns
        -------
        Path
            The page.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.sheets().items():
            sheets.write(folder / f"{name}.csv", rows)
        page = folder / "report.html"
        page.write_text(self.html(), encoding="utf-8")
        return page

    def html(self):
        """The page."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("autograder.teaching"),
            autoescape=True,  # names and code of students are text, whatever they hold
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters["listed"] = _listed
        rules = {"stuck": analysis.RULE, "alike": alike.RULE, "pause": activity.PAUSE.seconds // 60}
        now = datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0")
        return environment.get_template("report.html.j2").render(r=self, rules=rules, now=now, Markup=Markup)

    def sheets(self):
        """The rows of each CSV file, the head first."""
        names = list(self.group.exercises)
        students = [["student", "state", "score", "max_score", "late_penalty", "handed_in", "waits_for_hand_grading"]]
        students[0] += [*names, *(f"mistake_{name}" for name in names), "minutes", "stuck"]
        stuck = {row.student.id: "; ".join(row.reasons) for row in self.stuck}
        for s in self.group.students:
            row = [s.label, s.state, s.score, self.group.max_score, s.penalty, s.handed_in and s.handed_in.isoformat()]
            row += [s.waiting, *(s.results[n].score if n in s.results else None for n in names)]
            row += [s.results[n].mistake if n in s.results else None for n in names]
            minutes = round(s.activity.total, 1) if s.activity else None
            students.append([*row, minutes, stuck.get(s.id)])
        head = ["exercise", "points", "difficulty", "discrimination", "pass", "fail", "raised", "not_attempted"]
        exercises = [head] + [
            [
                e.name,
                e.points,
                round(e.difficulty, 3),
                e.discrimination and round(e.discrimination, 3),
                e.passed,
                e.failed,
            ]
            + [e.raised, e.not_attempted]
            for e in self.exercises
        ]
        return {
            "students": students,
            "exercises": exercises,
            "cases": [["exercise", "case", "failed", "attempted", "failure_rate"]]
            + [[c.exercise, c.case, c.failed, c.attempted, round(c.rate, 3)] for c in self.cases],
            "mistakes": [["exercise", "mistake", "message", "students", "who"]]
            + [[m.exercise, m.name, m.message, len(m.students), _labels(m.students)] for m in self.mistakes],
            "patterns": [["exercise", "students", "only_where", "failing_cases", "of_cases", "who"]]
            + [
                [p.exercise, len(p.students), p.where, "; ".join(p.cases), p.of, _labels(p.students)]
                for p in self.patterns
            ],
            "alike": [["first", "second", "share", "characters"]]
            + [[p.first.label, p.second.label, round(p.share, 3), p.characters] for p in self.pairs],
        }


def _labels(students):
    return "; ".join(student.label for student in students)


def _listed(words, most=8):
    """``a, b and c``; of many, the first ones and how many more."""
    words = list(words)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _count(number, noun):
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"
