"""Texts for language models: Python's own reference, which ships with the course, and others when there is a network.

``data/python_reference.txt`` holds the paragraphs of ``pydoc_data.topics`` of Python 3.11.7 (what ``help("topics")``
shows) in alphabetical order of the topics, each paragraph once. Two reasons to keep a copy: the module differs from one
Python to the next, and so would every number in the notebook; and its topics repeat one another, a fifth of the
characters, so that a model could be tested on sentences that it was trained on. :func:`extract` made the file.

The text is copyright of the Python Software Foundation, under the PSF License Version 2; see ``data/README.md``.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).resolve().parents[2] / "data" / "python_reference.txt"
SHA256 = "f784d6fb39bdb407417b39889b74209e5327a12c530ac010595a0cb3719c903b"
BLOCK = 4000  # characters: the text is dealt out in blocks of about this length


class Text(NamedTuple):
    """Three texts of one kind: train on the first, choose on the second, read the third once."""

    name: str
    train: str
    validation: str
    test: str

    def __repr__(self):
        sizes = ", ".join(f"{len(getattr(self, part)):,} {part}" for part in ("train", "validation", "test"))
        return f"<{self.name}: {sizes} characters>"


def python_reference():
    """Python's language reference, 373,102 characters, no paragraph twice.

    Of every ten blocks of about 4,000 characters, the ninth is for validation and the tenth for the test: all three
    parts are about the same things.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If the file is not the one that the course ships.
    """
    data = FILE.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"{FILE} has been changed; git restores it")
    return Text("Python reference", *deal(data.decode("utf-8")))


def deal(text, block=BLOCK):
    """Deal a text out in whole paragraphs: eight blocks to train on, one for validation, one for the test, and again.

    Parameters
    ----------
    text : str
        Paragraphs with an empty line between them.
    block : int
        A block ends with the first paragraph that makes it at least this long.

    Returns
    -------
    tuple of three str
    """
    blocks, now = [], ""
    for paragraph in text.split("\n\n"):
        now += paragraph + "\n\n"
        if len(now) >= block:
            blocks.append(now)
            now = ""
    blocks.append(now)
    turns = [k % 10 for k in range(len(blocks))]
    parts = [turn < 8 for turn in turns], [turn == 8 for turn in turns], [turn == 9 for turn in turns]
    return tuple("".join(b for b, mine in zip(blocks, part, strict=True) if mine) for part in parts)


def extract(topics):
    """How ``data/python_reference.txt`` was made of ``pydoc_data.topics.topics`` (a dict of str to str)."""
    seen, kept = set(), []
    for _, text in sorted(topics.items()):
        for paragraph in re.split(r"\n\s*\n", text):
            words = " ".join(paragraph.split())  # the same paragraph may be indented differently
            if words and words not in seen:
                seen.add(words)
                kept.append(paragraph.strip("\n"))
    return "\n\n".join(kept)


def shakespeare(download=None, folder=None):
    """About 40,000 lines of Shakespeare's plays, 1.1 million characters, downloaded once.

    Parameters
    ----------
    download, folder
        See :func:`course_lib.datasets.download.fetch`.

    Returns
    -------
    Text
    """
    from course_lib.datasets.download import fetch

    text = fetch("shakespeare.txt", download, folder).read_text(encoding="utf-8")
    return Text("Shakespeare", *deal(text))


def gutenberg(path):
    """A book that you have saved from Project Gutenberg as "Plain Text UTF-8", without the licence around it.

    The project corrects its files, so no SHA-256 holds for long, and what cannot be verified is not downloaded here:
    save the file with the browser from https://www.gutenberg.org and give its path.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If the two lines that mark the beginning and the end of the book are not there.
    """
    whole = Path(path).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    found = re.search(r"^\*\*\* ?START OF.*?\*\*\*$\n(.*)^\*\*\* ?END OF", whole, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} has no lines '*** START OF ...' and '*** END OF ...'; is it Gutenberg's plain text?")
    return Text(Path(path).stem, *deal(found[1].strip("\n")))
