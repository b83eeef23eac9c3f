"""CSV files that parse everywhere and that no spreadsheet takes for formulas."""

import csv

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def harmful(value):
    """Whether a spreadsheet would take this for a formula."""
    return isinstance(value, str) and value.startswith(FORMULA)


def harmless(value):
    """A text that a spreadsheet shows rather than computes; numbers stay as they are.

    OWASP, *CSV Injection* and ASVS 1.2.10: a cell that begins with ``= + - @``, a tab, a line break or NUL gets a
    single quote in front. Quoting by the rules of CSV does not help: a spreadsheet takes the quotes away first.
    """
    if value is None:
        return ""
    return f"'{value}" if harmful(value) else value


def write(path, rows):
    """Write rows (sequences of text, numbers and None) as UTF-8, comma-separated, quoted where RFC 4180 asks for it."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[harmless(value) for value in row] for row in rows])
