"""Read any file that a student may hand in, and take out of it what is theirs: the text of cells."""

import json
import os
import re
import stat
from typing import NamedTuple

from autograder.grading.protocol import clean

LARGEST_FILE, MOST_CELLS = 50 * 2**20, 2000
_PICTURES = ("image/png", "image/jpeg", "image/gif")


class Unreadable(ValueError):
    """A file that holds no notebook. The message says why, for the feedback page."""


class Cell(NamedTuple):
    """What is taken of a submitted cell."""

    kind: str  # code or markdown
    text: str
    grade_id: str  # empty: none
    attachments: dict = {}


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
