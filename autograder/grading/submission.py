"""Whatever a student hands in becomes a well-formed notebook, and a list of steps to grade it by.

Nothing of the submitted file survives but the text of its unlocked cells. The cells, their order, their metadata and
the text of what is locked come from the source notebook, which is ours. So a cell that was deleted, duplicated, split,
retyped, moved or renamed, or has lost its metadata, is back in its place; and there is nowhere to hide anything.
"""

import ast
import json
import os
import re
import stat
from dataclasses import dataclass, field
from typing import NamedTuple

import nbformat

from autograder.grading.grader import Step
from autograder.grading.protocol import clean

LARGEST_FILE, MOST_CELLS = 50 * 2**20, 2000
MISSING_CODE = "# This cell was missing from the submission."
_PICTURES = ("image/png", "image/jpeg", "image/gif")


class Unreadable(ValueError):
    """A file that holds no notebook. The message says why, for the feedback page."""


class Cell(NamedTuple):
    """What is taken of a submitted cell."""

    kind: str  # code or markdown
    text: str
    grade_id: str  # empty: none
    attachments: dict = {}


@dataclass
class Repaired:
    """A well-formed notebook and what had to be done to the submission for it, in sentences for the student."""

    notebook: nbformat.NotebookNode
    notes: list = field(default_factory=list)


# ---- reading ----


def read(path):
    """The cells of a submitted file.

    Raises
    ------
    Unreadable
        If it is no regular file, too large, or no notebook.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is a link or a special file, not a file")
        if status.st_size > LARGEST_FILE:
            raise Unreadable(f"it is larger than {LARGEST_FILE // 2**20} MiB")
        with open(path, "rb") as file:
            return parse(file.read())
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror})") from error


def parse(data):
    """The cells of a notebook file's bytes, of any version of the format.

    Raises
    ------
    Unreadable
        If there is no list of cells in it.
    """
    try:
        content = json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON, which a notebook must be ({str(error)[:120]})") from error
    if not isinstance(content, dict):
        raise Unreadable("it is JSON, but not a notebook")
    cells = content.get("cells")
    if not isinstance(cells, list) and isinstance(content.get("worksheets"), list):  # formats 2 and 3
        sheets = [sheet for sheet in content["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or () if isinstance(sheet.get("cells"), list)]
    if not isinstance(cells, list):
        raise Unreadable("it is JSON, but has no cells")
    if len(cells) > MOST_CELLS:
        raise Unreadable(f"it has {len(cells):,} cells")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(cell):
    kind = cell.get("cell_type")
    text = cell.get("source", cell.get("input", ""))
    if isinstance(text, list):
        text = "".join(part for part in text if isinstance(part, str))
    text = clean(text) if isinstance(text, str) else ""
    if kind == "heading":  # format 3
        level = cell.get("level")
        text, kind = f"{'#' * (level if level in range(1, 7) else 1)} {text}", "markdown"
    elif kind not in ("code", "markdown"):
        text, kind = f"```\n{text}\n```", "markdown"  # a raw cell would reach the feedback page as it is
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    attachments = _pictures(cell.get("attachments")) if kind == "markdown" else {}
    return Cell(kind, text, grade_id if isinstance(grade_id, str) else "", attachments)


def inert(text):
    """Markdown with nothing left that a browser would act on but links to pages.

    Tags are shown as text. A zero-width space keeps a link to anything but a page from being a link, and a formula
    from using the commands that make links; other formulas stay as they are.
    """
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    text = re.sub(r"\]\((?!(?:https?://|mailto:|attachment:|#))", "]\N{ZERO WIDTH SPACE}(", text)
    text = re.sub(r"^(.*\]):(?!\s*https?://)", "\\1\N{ZERO WIDTH SPACE}:", text, flags=re.MULTILINE)
    return re.sub(r"\\(?=(?:href|csname|require|style|class|cssId|unicode)\b)", "\\\\\N{ZERO WIDTH SPACE}", text)


def _pictures(attachments):
    """Attached pictures; anything else that might be attached is left out."""
    kept = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        if isinstance(bundle, dict) and re.fullmatch(r"[\w .()-]+", name):
            good = {
                kind: data
                for kind, data in bundle.items()
                if kind in _PICTURES and isinstance(data, str) and re.fullmatch(r"[A-Za-z0-9+/=\s]*", data)
            }
            if good:
                kept[name] = good
    return kept


# ---- repair ----


def rebuild(cells, source, released):
    """Put the student's text into the source notebook's frame.

    Parameters
    ----------
    cells : list of Cell
    source : NotebookNode
        The trusted source: what cells there are, in which order, and what each is.
    released : dict of str to str
        What students were given in the unlocked cells, by id (for those that are missing now).

    Returns
    -------
    Repaired
    """
    known = {c.metadata.nbgrader.grade_id: k for k, c in enumerate(source.cells) if "nbgrader" in c.metadata}
    locked = {source.cells[k].source.strip(): name for name, k in known.items() if _is_locked_code(source.cells[k])}
    notes = []
    answers, groups = {}, {-1: []}  # groups: a known cell's place in the source: what the student put after it
    place, places = -1, []
    cells = _joined(cells, known, released, notes)
    last = {cell.grade_id: k for k, cell in enumerate(cells)}
    for k, cell in enumerate(cells):
        name = cell.grade_id if cell.grade_id in known else ""
        if not name and cell.kind == "code":
            name = locked.get(cell.text.strip(), "")  # one of ours that has lost its metadata
        if name and (last.get(name, k) == k or source.cells[known[name]].metadata.nbgrader.locked):
            place = known[name]
            places.append(place)
            groups.setdefault(place, [])
            if not source.cells[place].metadata.nbgrader.locked:
                answers[name] = cell
                if cell.kind != source.cells[place].cell_type:
                    notes.append(f"The cell {name} had become a {cell.kind} cell; it is a code cell again.")
        else:
            groups[place].append(cell)
    if places != sorted(places):
        notes.append("Cells stood in another order; they were put back into the notebook's.")
    for name, k in known.items():
        if not source.cells[k].metadata.nbgrader.locked and name not in answers:
            answers[name] = _lost_answer(source.cells, k, groups, released.get(name), name, notes)
    missing = [name for name, k in known.items() if k not in groups and name not in answers]
    if missing:
        notes.append(f"Deleted cells were put back: {', '.join(missing)}.")
    notebook = nbformat.v4.new_notebook(metadata=source.metadata, nbformat=4, nbformat_minor=5)
    notebook.cells += [_own(cell) for cell in groups[-1]]
    for k, original in sorted((k, source.cells[k]) for k in known.values()):
        name = original.metadata.nbgrader.grade_id
        notebook.cells.append(_framed(original, answers.get(name)))
        notebook.cells += [_own(cell) for cell in groups.get(k, ())]
    for k, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{k}"
    return Repaired(notebook, notes)


def _is_locked_code(cell):
    return cell.cell_type == "code" and cell.metadata.nbgrader.locked


def _joined(cells, known, released, notes):
    """Put together again what belongs to one cell: its pieces after a split, its copies."""
    kept = []
    for cell in cells:
        stub = released.get(cell.grade_id)
        if stub is not None and cell.text.strip() == stub.strip():
            copies = [c for c in cells if c.grade_id == cell.grade_id]
            if any(c.text.strip() != stub.strip() for c in copies):
                notes.append(f"An empty copy of the cell {cell.grade_id} was left out.")
                continue
        previous = kept[-1] if kept else None
        is_piece = previous is not None and cell.kind == previous.kind == "code" and previous.grade_id in known
        if is_piece and cell.grade_id in ("", previous.grade_id) and not _compiles(previous.text):
            whole = f"{previous.text}\n{cell.text}"
            if _compiles(whole):
                notes.append(f"The two pieces of the cell {previous.grade_id} were joined.")
                kept[-1] = previous._replace(text=whole)
                continue
        kept.append(cell)
    return kept


def _compiles(text):
    try:
        ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", text, flags=re.MULTILINE))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _lost_answer(source, place, groups, stub, name, notes):
    """The student's cell that must be this one although it does not say so; what was released if there is none."""
    if source[place].cell_type == "code":
        wanted = re.search(r"^(?:def|class) (\w+)", source[place].source, re.MULTILINE)
        pattern = re.compile(rf"^(?:(?:def|class) {wanted[1]}\b|{wanted[1]}\s*=)", re.MULTILINE) if wanted else None
        candidates = [(k, c) for k in sorted(groups) for c in groups[k] if c.kind == "code"]
        candidates = [(k, c) for k, c in candidates if pattern and pattern.search(c.text)]
    else:
        before = max(k for k in groups if k < place)
        lessons = {cell.source.strip() for cell in source}
        candidates = [(before, c) for c in groups[before] if c.kind == "markdown" and c.text.strip() not in lessons]
    if candidates:
        k, found = candidates[-1] if source[place].cell_type == "code" else candidates[0]
        groups[k] = [cell for cell in groups[k] if cell is not found]
        notes.append(f"The cell {name} had lost its name; it was found by what it says.")
        return found
    notes.append(f"The cell {name} was missing.")
    return Cell(source[place].cell_type, stub if stub is not None else MISSING_CODE, name)


def _framed(original, answer):
    """One of the source's cells; with the student's text where it is theirs."""
    metadata = json.loads(json.dumps(original.metadata))
    if answer is None:
        return _made(original.cell_type, original.source, metadata)
    return _own(answer._replace(kind=original.cell_type), metadata)


def _own(cell, metadata=None):
    if cell.kind == "code":
        return _made("code", cell.text, metadata or {})
    new = _made("markdown", inert(cell.text), metadata or {})
    if cell.attachments:
        new["attachments"] = nbformat.from_dict(cell.attachments)
    return new


def _made(kind, text, metadata):
    # nbformat's own constructors check every cell; here the notebook is checked once, when it is written.
    cell = {"cell_type": kind, "id": "", "metadata": metadata, "source": text}
    return nbformat.from_dict(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))


# ---- steps ----


def steps(notebook, source):
    """What to do with each code cell of a repaired notebook."""
    ours = {c.metadata.nbgrader.grade_id: c for c in source.cells if "nbgrader" in c.metadata}
    plan = []
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        trusted = ours.get(name)
        if trusted is None or not trusted.metadata.nbgrader.locked:
            plan.append(Step(k, "run", cell.source))
        elif trusted.metadata.nbgrader.grade:
            plan.append(Step(k, "check", "", name, *_checked(trusted.source)))
        elif "demo" in trusted.metadata.get("tags", ()):
            plan.append(Step(k, "skip", ""))
        else:
            plan.append(Step(k, "run", trusted.source))
    return plan


def _checked(text):
    """The exercise and the expression of ``ex.NAME.check(EXPRESSION)``; two empty strings for any other cell."""
    try:
        [statement] = ast.parse(text).body
    except (SyntaxError, ValueError):
        return "", ""
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(ast.Attribute(ast.Name("ex"), name), "check"), [argument], [])):
            return name, ast.unparse(argument)
    return "", ""


def preloads(source):
    """The modules that the source's setup cells import: loaded once, before the fork."""
    names = []
    for cell in source.cells:
        if cell.cell_type == "code" and "setup" in cell.metadata.get("tags", ()) and _compiles(cell.source):
            for node in ast.walk(ast.parse(re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE))):
                if isinstance(node, ast.Import):
                    names += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names += [node.module]
    return list(dict.fromkeys(names))
