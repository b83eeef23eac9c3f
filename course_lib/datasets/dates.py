"""Dates as people write them, and the same dates in ISO 8601: ``the 3rd of May 1987`` and ``1987-05-03``.

Made from a seed. The three splits share no *date*: a date of the test split occurs in the training split in no format
at all, so that a model which has learned its training dates by heart gets none of them right.

A text becomes a row of whole numbers, one for each character, padded with 0 at its end.
"""

import datetime
from typing import NamedTuple

import numpy as np

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
GERMAN = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
          "Dezember")  # fmt: skip
SPANISH = ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre")  # fmt: skip
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

FIRST, DAYS = datetime.date(1950, 1, 1), 36_525  # to 2049-12-31: two digits of a year name one year


def _ordinal(day):
    ending = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


# A slash means month first, as in the United States; a dot or a dash between two numbers means day first.
FORMATS = (
    lambda t: f"{t.day} {MONTHS[t.month - 1]} {t.year}",
    lambda t: f"{MONTHS[t.month - 1]} {t.day}, {t.year}",
    lambda t: f"{MONTHS[t.month - 1][:3]} {t.day} {t.year}",
    lambda t: f"{t.day:02d}-{MONTHS[t.month - 1][:3].upper()}-{t.year}",
    lambda t: f"{WEEKDAYS[t.weekday()]}, {t.day} {MONTHS[t.month - 1]} {t.year}",
    lambda t: f"{WEEKDAYS[t.weekday()][:3]} {t.day} {MONTHS[t.month - 1][:3]} {t.year}",
    lambda t: f"the {_ordinal(t.day)} of {MONTHS[t.month - 1]} {t.year}",
    lambda t: f"{MONTHS[t.month - 1]} {_ordinal(t.day)}, {t.year}",
    lambda t: f"{_ordinal(t.day)} {MONTHS[t.month - 1][:3]}. '{t.year % 100:02d}",
    lambda t: f"{t.month}/{t.day}/{t.year}",
    lambda t: f"{t.month:02d}/{t.day:02d}/{t.year % 100:02d}",
    lambda t: f"{t.day}.{t.month}.{t.year}",
    lambda t: f"{t.day:02d}.{t.month:02d}.{t.year % 100:02d}",
    lambda t: f"{t.year}{t.month:02d}{t.day:02d}",
    lambda t: f"{t.year}, {MONTHS[t.month - 1]} {t.day}",
    lambda t: f"{t.day}. {GERMAN[t.month - 1]} {t.year}",
    lambda t: f"{t.day} de {SPANISH[t.month - 1]} de {t.year}",
    lambda t: f"{t.day}.{ROMAN[t.month - 1]}.{t.year}",
)

PAD, BOS, EOS = 0, 1, 2  # nothing; a text begins; a text ends
CHARACTERS = sorted({c for t in (datetime.date(2000, m, d) for m in range(1, 13) for d in range(1, 29))
                     for write in FORMATS for c in write(t)} | set("0123456789-"))  # fmt: skip
SYMBOLS = ("<pad>", "<bos>", "<eos>", *CHARACTERS)
_INDEX = {symbol: k for k, symbol in enumerate(SYMBOLS)}
ISO_LENGTH = 11  # ten characters and <eos>


class Pairs(NamedTuple):
    """Dates in two notations.

    ``source``: (N, S) int64, texts and padding. ``target``: (N, 12) int64, ``<bos>``, ten characters, ``<eos>``.
    """

    source: np.ndarray
    target: np.ndarray

    def take(self, n):
        """The first ``n`` pairs. (The order is random, so they are a fair sample.)"""
        return Pairs(self.source[:n], self.target[:n])


class Dates(NamedTuple):
    """Pairs in three splits that have no date in common."""

    train: Pairs
    validation: Pairs
    test: Pairs

    def __repr__(self):
        sizes = ", ".join(f"{len(part.source):,} {name}" for name, part in zip(self._fields, self, strict=True))
        return f"<dates: {sizes}; {len(SYMBOLS)} symbols, {len(FORMATS)} formats>"


def encode(text):
    """A text as a list of whole numbers.

    Raises
    ------
    ValueError
        If it has a character that the data set does not know.
    """
    unknown = sorted(set(text) - set(CHARACTERS))
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))} is no symbol here; the symbols are {''.join(CHARACTERS)}")
    return [_INDEX[c] for c in text]


def decode(tokens):
    """The text of a row of whole numbers, up to ``<eos>``; ``<bos>`` and padding are left out."""
    text = ""
    for token in tokens:
        if token == EOS:
            break
        text += SYMBOLS[token] if token > EOS else ""
    return text


def source_of(texts):
    """Texts as one array, padded to the longest: (N, S) int64."""
    rows = [encode(text) for text in texts]
    source = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for n, row in enumerate(rows):
        source[n, : len(row)] = row
    return source


def dates(n_train=20_000, n_validation=500, n_test=1000, seed=0):
    """Pairs of a date as somebody wrote it and in ISO 8601.

    Of the 36,525 days of 1950 to 2049, ``n_test`` are kept for the test split and ``n_validation`` for validation, each
    once. Training dates are drawn from the others, with repetition, each in a format drawn anew.

    Parameters
    ----------
    n_train, n_validation, n_test : int
    seed : int

    Returns
    -------
    Dates
    """
    if n_validation + n_test >= DAYS:
        raise ValueError(f"there are {DAYS:,} days, and {n_validation + n_test:,} would be held out; leave some")
    rng = np.random.default_rng([seed, 12])
    test, validation, rest = np.split(rng.permutation(DAYS), [n_test, n_test + n_validation])
    return Dates(_pairs(rng.choice(rest, n_train), rng), _pairs(validation, rng), _pairs(test, rng))


def _pairs(days, rng):
    written = [FIRST + datetime.timedelta(int(day)) for day in days]
    source = source_of(
        [FORMATS[k](t) for k, t in zip(rng.integers(len(FORMATS), size=len(days)), written, strict=True)]
    )
    target = np.array([[BOS, *encode(t.isoformat()), EOS] for t in written], np.int64).reshape(-1, ISO_LENGTH + 1)
    return Pairs(source, target)
