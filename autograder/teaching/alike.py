"""Submissions that share what the rest of the class does not write.

Fingerprints of code without names, comments and layout come from `copydetect <https://github.com/blingenf/copydetect>`_
(winnowing: Schleimer, Wilkerson & Aiken, *Winnowing: Local Algorithms for Document Fingerprinting*, SIGMOD 2003). Short
exercises have few right answers, and many students find the same one, so, as in MOSS, what was handed out and what
is found in many submissions counts for nothing: only code that is rare in the class does.
"""

import io
from collections import Counter
from dataclasses import dataclass
from itertools import combinations

LENGTH = 25  # characters of a fingerprint, with every name as one character
COMMON, AT_LEAST = 0.1, 3  # found in more than this share of the class, and in more than so many: common
SHARE = 0.5  # of the rare code of either must be the other's as well
ENOUGH = 150  # characters of rare code in common, some ten lines

RULE = (
    f"Names, comments and layout do not count, nor what was handed out, nor what more than {COMMON:.0%} of the class "
    f"(and more than {AT_LEAST} students) have. Of what is left in each of the two, at least {SHARE:.0%} is in the "
    f"other as well, and that is at least {ENOUGH} characters."
)


@dataclass(frozen=True)
class Pair:
    """Two students and what they share: characters of rare code, and the share of each one's rare code."""

    first: object
    second: object
    characters: int
    shares: tuple
    marked: tuple  # the two codes as HTML, what they share within <mark>

    @property
    def share(self):
        return min(self.shares)


def pairs(group):
    """The pairs that look alike, the most alike first.

    Returns
    -------
    list of Pair
    """
    from copydetect import CodeFingerprint, compare_files
    from copydetect.utils import get_token_coverage, highlight_overlap

    # A window of one keeps every fingerprint: nothing is left to chance, and a class's code is small.
    prints = {}
    for student in group.students:
        if student.code:
            text = io.StringIO(student.code)
            prints[student.id] = student, CodeFingerprint("code.py", LENGTH, 1, language="python", fp=text)
    handed_out = CodeFingerprint("starter.py", LENGTH, 1, language="python", fp=io.StringIO(group.starter)).hashes
    found_in = Counter(value for _, fingerprint in prints.values() for value in fingerprint.hashes)
    limit = max(AT_LEAST, COMMON * len(prints))
    common = handed_out | {value for value, count in found_in.items() if count > limit}
    for _, fingerprint in prints.values():
        fingerprint.hashes = fingerprint.hashes - common
        fingerprint.hash_idx = {value: fingerprint.hash_idx[value] for value in fingerprint.hashes}
        fingerprint.token_coverage = get_token_coverage(fingerprint.hash_idx, LENGTH, len(fingerprint.filtered_code))
    rare = [(student, fingerprint) for student, fingerprint in prints.values() if fingerprint.token_coverage >= ENOUGH]
    found = []
    for (first, one), (second, other) in combinations(rare, 2):
        if len(one.hashes & other.hashes) + LENGTH <= ENOUGH / 2:
            continue  # far too few: spares the comparison of nearly all pairs
        characters, shares, slices = compare_files(one, other)
        if characters >= ENOUGH and min(shares) >= SHARE:
            marked = [
                highlight_overlap(side.raw_code, where, "<mark>", "</mark>", escape_html=True)[0]
                for side, where in zip((one, other), slices, strict=True)
            ]
            shares = tuple(min(1.0, float(share)) for share in shares)
            found.append(Pair(first, second, int(characters), shares, tuple(marked)))
    return sorted(found, key=lambda pair: (-pair.share, -pair.characters, pair.first.label))
