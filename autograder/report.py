"""Show a verdict: the reason first, then the numbers, on one screen. HTML in a notebook, plain text elsewhere."""

import html
import inspect
import re
import sys

import numpy as np

from course_lib import tables

COLOURS = {"pass": "#009E73", "fail": "#D55E00", "raised": "#D55E00", "not attempted": "#888888", "note": "#0072B2"}
PICTURE = 180  # pixels: yours, expected and difference stand beside each other
CELL_FILE = re.compile(r"^\S*ipykernel_\d+\S*\.py:(\d+): ", re.MULTILINE)  # how Python calls a cell in a warning
MARKS = {"pass": "✓", "fail": "✗", "raised": "✗", "not attempted": "○"}


class Page:
    """Something to show: HTML where there is a browser, text elsewhere."""

    def __init__(self, text, markup):
        self.text, self.markup = text, markup

    def _repr_html_(self):
        return self.markup

    def __repr__(self):
        return self.text


def show(verdict):
    """Display the report of a verdict."""
    _display(page(verdict))


def say(message, more=""):
    """A note to the student: one sentence, and what to do next in grey."""
    _display(Page(f"{message}{f' ({more})' if more else ''}", _box("note", html.escape(message) + _grey(more))))


def code(source):
    """A piece of Python, highlighted where that is possible."""
    if _in_notebook():
        from IPython.display import Code, display

        display(Code(source, language="python"))
    else:
        print(source)


def page(verdict):
    """The report of a verdict as a :class:`Page`."""
    exercise, count = verdict.exercise, len(verdict.results)
    if verdict.status == "pass":
        head = f"{MARKS['pass']} {exercise.name} · all {count} cases pass"
        return Page(head, _box("pass", html.escape(head)))
    if verdict.status == "not attempted":
        missing = verdict.first_failure.outcome.raised.missing
        why = f"waits for {missing}, which is not written yet" if missing else "not attempted yet"
        head = f"{MARKS['not attempted']} {exercise.name} · {why}"
        after = "" if missing else f"write it in its cell, run that, then run this again{_or_hint(exercise)}"
        return Page(f"{head}{f' ({after})' if after else ''}", _box("not attempted", html.escape(head) + _grey(after)))
    result = verdict.first_failure
    head = (
        f"{MARKS[verdict.status]} {exercise.name} · {verdict.n_passed} of {count} cases pass · "
        f"the first that does not: “{result.case.name}”"
    )
    names = _argument_names(exercise, result.case)
    lines = reasons(result, names)
    if verdict.mistake is not None:
        lines.append(f"What it is: {verdict.mistake.message}")
    text = "\n".join([head, *(f"  {line}" for line in lines), *_text_arrays(result, names)])
    markup = f"<b>{html.escape(head)}</b>" + "".join(f"<div>{_emphasise(line)}</div>" for line in lines)
    markup += _group("given", _given(result, names)) + _group("returned", _returned(result))
    if result.outcome.printed.strip():
        printed = CELL_FILE.sub(r"line \1: ", result.outcome.printed.rstrip())
        text += f"\n  your code printed:\n{printed}"
        markup += (
            f"<div>your code printed:</div><pre style='max-height:10em;overflow:auto'>{html.escape(printed)}</pre>"
        )
    return Page(text, _box(verdict.status, markup + _all_cases(verdict)))


def reasons(result, names):
    """Why one case does not pass, in sentences."""
    outcome = result.outcome
    if outcome.raised is not None:
        raised = outcome.raised
        if raised.missing:
            return [f"your code calls {raised.missing}, which is not written yet"]
        lines = [
            f"your code raised {raised.kind}: {raised.message}" if raised.message else f"your code raised {raised.kind}"
        ]
        if raised.line:
            lines.append(f"at line {raised.number}:  {raised.line}")
        return lines
    lines = []
    if outcome.overwritten:
        which = " and ".join(names[k] for k in outcome.overwritten)
        lines.append(
            f"your code changed its argument {which}; work on a copy (.copy()) and leave the caller's data alone"
        )
    if result.difference is not None:
        lines.append(result.difference.message)
    return lines


def _argument_names(exercise, case):
    """The names of a case's arguments, as the reference calls them, or the exercise's own drive if that names them."""
    try:
        parameters = list(inspect.signature(exercise.drive).parameters.values())[1:]  # the first is the answer
        if not parameters or parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
            parameters = inspect.signature(exercise.reference).parameters.values()
        parameters = [parameter.name for parameter in parameters]
    except (TypeError, ValueError):
        parameters = []
    given = [parameters[k] if k < len(parameters) else f"argument {k + 1}" for k in range(len(case.args))]
    return given + list(case.kwargs)


def _given(result, names):
    """The arguments, each as a small figure."""
    figures = []
    for name, value in zip(names, (*result.case.args, *result.case.kwargs.values()), strict=True):
        if isinstance(value, np.ndarray):
            figures.append(_figure(value, f"{name} {_size(value)}"))
        elif np.isscalar(value) or isinstance(value, (tuple, list)):
            figures.append(f'<div style="margin:.3em 1.2em .3em 0">{html.escape(f"{name} = {_short(value)}")}</div>')
    return figures


def _returned(result):
    """Yours, expected and their difference, where there are arrays to show."""
    found, figures = result.difference, []
    if found is None or found.expected is None or found.expected.size == 0:
        return figures
    wrong = None
    if found.index is not None:
        wrong = ~np.isclose(found.yours, found.expected, rtol=1e-6, atol=1e-8, equal_nan=True)
    scale = _scale(found.expected)
    for label, value in (("yours", found.yours), ("expected", found.expected)):
        if value is not None and value.size:
            label = f"{found.where} {label}".strip()
            label += f" {value.dtype}" if found.kind == "dtype" else f" {_size(value)}"
            figures.append(_figure(value, label, found.index, wrong, scale))
    if found.index and found.kind == "value" and found.expected.dtype.kind in "iuf":
        with np.errstate(invalid="ignore"):
            gap = found.yours.astype(float) - found.expected.astype(float)
        largest = _scale(gap)
        caption = "yours − expected"
        if max(gap.shape[-2:]) > tables.LARGEST_TABLE and largest:
            caption += f": blue too large, orange too small, by up to {tables.number(largest)}"
        figures.append(_figure(gap, caption, found.index, None, None))
    return figures


def _group(label, figures):
    """Figures beside each other under a word that says what they are."""
    if not figures:
        return ""
    word = f'<div style="opacity:.7;width:5em;padding-top:.3em">{label}</div>'
    return f'<div style="display:flex;margin-top:.3em">{word}<div style="flex:1">{tables.row(figures)}</div></div>'


def _all_cases(verdict):
    """Every case with its mark, to be opened: which pass may tell what the others have in common."""
    lines = "".join(
        f"<div>{MARKS['pass' if result.passed else 'fail']} {html.escape(result.case.name)}</div>"
        for result in verdict.results
    )
    more = _grey(_or_hint(verdict.exercise).removeprefix("; ")) if verdict.mistake is None else ""
    if len(verdict.results) == 1:
        return f"<div>{more}</div>" if more else ""
    return f'<details><summary style="cursor:pointer">all {len(verdict.results)} cases{more}</summary>{lines}</details>'


def _or_hint(exercise):
    return f"; ex.{exercise.name}.hint() gives a hint" if exercise.hints else ""


def _grey(text):
    return f" <span style='opacity:.7'>({html.escape(text)})</span>" if text else ""


def _figure(value, caption, index=None, marked=None, scale=None):
    """The last two axes of an array around ``index`` (default: its beginning)."""
    if value.ndim > 2:
        at = tuple(index[:-2]) if index else (0,) * (value.ndim - 2)
        caption += f", shown: [{', '.join(map(str, at))}]"
        value = value[at] if all(k < n for k, n in zip(at, value.shape, strict=False)) else value[(0,) * len(at)]
        marked = marked[at] if marked is not None else None
    return tables.matrix(value, caption, marked, scale, width=PICTURE)


def _scale(array):
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else None


def _text_arrays(result, names):
    found = result.difference
    shown = [(n, v) for n, v in zip(names, (*result.case.args, *result.case.kwargs.values()), strict=True)]
    if found is not None and found.expected is not None:
        shown += [("yours", found.yours), ("expected", found.expected)]
    lines = []
    for name, value in shown:
        if isinstance(value, np.ndarray):
            if value.size <= 36:
                body = np.array2string(value, precision=4, prefix=" " * (len(name) + 5))
                lines.append(f"  {name} = {body}")
            else:
                lines.append(f"  {name}: {_size(value)}")
        elif value is not None:
            lines.append(f"  {name} = {_short(value)}")
    return lines


def _size(array):
    return "×".join(map(str, array.shape)) if array.ndim else ""


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _emphasise(line):
    label, colon, rest = line.partition(": ")
    if colon and label in ("What it is",):
        return f"<b>{html.escape(label)}:</b> {_emphasise(rest)}"
    if line.startswith("at line "):
        where, _, source = line.partition(":  ")
        return f"{html.escape(where)}: <code>{html.escape(source)}</code>"
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(line))


def _box(status, markup):
    return (
        f'<div style="border-left:4px solid {COLOURS[status]};padding:.25em .8em;margin:.2em 0;line-height:1.5">'
        f"{markup}</div>"
    )


def _in_notebook():
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def _display(page):
    if _in_notebook():
        from IPython.display import display

        display(page)
    else:
        print(page.text)
