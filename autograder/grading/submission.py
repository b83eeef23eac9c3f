"""Whatever a student hands in becomes a well-formed notebook, and a list of steps to grade it by.

Nothing of the submitted file survives but the text of its unlocked cells. The cells, their order, their metadata and
the text of what is locked come from the source notebook, which is ours. So a cell that was deleted, duplicated, split,
retyped, moved or renamed, or has lost its metadata, is back in its place; and there is nowhere to hide anything.
"""

import ast
import json
import re
from dataclasses import dataclass, field

import nbformat

from autograder.grading.grader import Step
from autograder.grading.reading import Cell, inert

MISSING_CODE = "# This cell was missing from the submission."


@dataclass
class Repaired:
    """A well-formed notebook and what had to be done to the submission for it, in sentences for the student."""

    notebook: nbformat.NotebookNode
    notes: list = field(default_factory=list)


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
