"""A new release of a chapter's notebook, merged into the student's copy.

Three notebooks meet: the student's, the release that it was made from (the base), and the new release. Cells are the
same if they have the same nbgrader ``grade_id``, the same id, or, where a program has dropped both, the same text.

=====================================  ===============================================================================
the student's cell                     what becomes of it
=====================================  ===============================================================================
an answer that was written             stays, word for word, also if its exercise is gone
a cell that the student added          stays, below the cell that it stood below
text that the student changed          stays; if the release changed it as well, both are there
everything else                        is the new release's
=====================================  ===============================================================================

Without a base (an older workspace) nobody can tell who changed a text: it becomes new, and the backup has the old one.
"""

import copy
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from nbformat.corpus.words import generate_corpus_id

OURS = ("nbgrader", "tags", "deletable", "editable")  # the metadata that a release decides about


NEWS = ("new", "changed", "gone")


@dataclass
class Changes:
    """What an update does, for the one line that offers it."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    answers: int = 0  # written answers that stay
    own: int = 0  # cells of the student's that stay
    restated: list = field(default_factory=list)  # answered exercises whose starting code is another now

    def __str__(self):
        parts = [f"{n} {what}" for n, what in zip((self.added, self.changed, self.removed), NEWS, strict=True) if n]
        text = f"cells: {', '.join(parts)}" if parts else "settings only"
        if self.answers or self.own:
            text += f"; {_count(self.answers, 'answer')} and {_count(self.own, 'cell')} of yours stay"
        if self.restated:
            text += f"; the starting code of {', '.join(self.restated)} is another now"
        return text


def _count(n, what):
    return f"{n or 'no'} {what}{'' if n == 1 else 's'}"


def merge(mine, base, new):
    """The student's notebook with everything that a new release brings.

    Parameters
    ----------
    mine, new : NotebookNode
        The student's and the new release.
    base : NotebookNode or None
        The release that ``mine`` was made from.

    Returns
    -------
    NotebookNode, Changes
    """
    before = {} if base is None else {_key(cell): cell for cell in base.cells}
    after = {_key(cell): cell for cell in new.cells}
    keys = _match(mine.cells, before | after)
    where = {key: cell for key, cell in zip(keys, mine.cells, strict=True) if key in after}
    changes, own, anchor = Changes(), defaultdict(list), None
    for key, cell in zip(keys, mine.cells, strict=True):
        if key in after:
            anchor = key
            if _conflict(cell, before.get(key), after[key]):
                own[anchor].append(_freed(cell))
        elif key is None and not _gone(cell, base) or key is not None and cell.source != before[key].source:
            own[anchor].append(cell if key is None and _grade_id(cell) in after else _freed(cell))
        else:
            changes.removed += 1
    cells = list(own[None])
    for key, cell in after.items():
        if key in where:
            cells.append(_combined(where[key], before.get(key), cell, changes))
        elif not (key in before and _is_text(cell) and before[key].source == cell.source):  # else: deleted on purpose
            cells.append(copy.deepcopy(cell))
            changes.added += 1
        cells += own[key]
    changes.own = sum(map(len, own.values()))
    merged = copy.deepcopy(mine)
    merged.nbformat, merged.nbformat_minor = new.nbformat, new.nbformat_minor
    merged.metadata.setdefault("kernelspec", copy.deepcopy(new.metadata.get("kernelspec", {})))
    merged.cells = _with_unique_ids(cells)
    return merged, changes


def same(a, b):
    """Whether two notebooks show the same cells, whatever their outputs."""

    def shown(notebook):
        return [(cell.cell_type, cell.source, {k: cell.metadata.get(k) for k in OURS}) for cell in notebook.cells]

    return shown(a) == shown(b)


def _grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _key(cell):
    return _grade_id(cell) or cell.id


def _is_answer(cell):
    return cell.metadata.get("nbgrader", {}).get("solution", False)


def _is_check(cell):
    return cell.metadata.get("nbgrader", {}).get("grade", False) and not _is_answer(cell)


def _is_text(cell):
    return "nbgrader" not in cell.metadata


def _match(cells, released):
    """For each cell of the student's the key of the released cell that it is, or None: the student's own."""
    ids = {cell.id: key for key, cell in released.items()}
    keys = [_grade_id(cell) if _grade_id(cell) in released else ids.get(cell.get("id")) for cell in cells]
    for key, count in Counter(keys).items():
        if key is not None and count > 1:  # a copy keeps the metadata but not the id: it is the student's own
            copies = [k for k, found in enumerate(keys) if found == key]
            first = next((k for k in copies if cells[k].get("id") == released[key].id), copies[0])
            for k in copies:
                keys[k] = key if k == first else None
    sources = {cell.source: key for key, cell in released.items() if key not in keys}
    for k, cell in enumerate(cells):
        if keys[k] is None and _grade_id(cell) is None:
            keys[k] = sources.pop(cell.source, None)
    return keys


def _gone(cell, base):
    """Without a base: whether a cell that the new release does not have came from the course and held no answer."""
    return base is None and _grade_id(cell) is not None and not _is_answer(cell)


def _conflict(mine, before, after):
    """Whether the student and the release both changed a text."""
    if before is None or _is_answer(after) or _is_check(after) or mine.source == after.source:
        return False
    return mine.source != before.source and after.source != before.source


def _freed(cell):
    """A cell that belongs to the student from now on: nothing is locked, nothing is graded."""
    cell = copy.deepcopy(cell)
    for name in ("nbgrader", "deletable", "editable"):
        cell.metadata.pop(name, None)
    return cell


def _combined(mine, before, after, changes):
    """One cell that both have."""
    cell = copy.deepcopy(after)
    restated = before is not None and before.source != after.source
    if _is_answer(after) and mine.source != (before or after).source:
        cell.source = mine.source
        changes.answers += 1
        if restated:
            changes.restated.append(_key(after))
    elif before is not None and not restated and not _is_check(after):
        cell.source = mine.source  # the release changed nothing here; the student may have
    elif mine.source != after.source:
        changes.changed += 1
    cell.metadata.update({key: value for key, value in mine.metadata.items() if key not in OURS})
    if cell.source == mine.source and cell.cell_type == mine.cell_type:
        for name in ("outputs", "execution_count", "attachments"):
            if name in mine:
                cell[name] = copy.deepcopy(mine[name])
    return cell


def _with_unique_ids(cells):
    seen = set()
    for cell in cells:
        while not cell.get("id") or cell["id"] in seen:
            cell["id"] = generate_corpus_id()
        seen.add(cell["id"])
    return cells
