"""Short film reviews drawn from a seed: what they say, and whether they praise the film.

A review is one verdict, or two that disagree or not, and sometimes a remark that says nothing. What makes the task one
for a network that reads in order:

- ``not``, ``never`` and ``hardly`` turn a verdict round: "the plot was not bad" is praise;
- of two verdicts the main clause counts: in "A but B" it is B, in "although A, B" it is B, in "A, although B" it is A.

The same words in another order may say the opposite. Names are made of syllables, so that new reviews hold words that
no vocabulary knows.
"""

from typing import NamedTuple

GOOD = ("good", "great", "moving", "funny", "clever", "lovely", "brilliant", "fresh")
BAD = ("bad", "dull", "weak", "slow", "boring", "awful", "silly", "flat")
SUBJECTS = ("film", "plot", "acting", "music", "ending", "first half", "dialogue", "lead")
DEGREES = ("", "", "really", "quite", "very")
TURNS = ("not", "never", "hardly")
REMARKS = ("i saw it with {name}", "it is by {name}", "{name} plays the lead", "i had read the book", "it was late")
SYLLABLES = ("ka", "lo", "mi", "ren", "sto", "vel", "dar", "nu", "pet", "sha", "il", "gor")


class Reviews(NamedTuple):
    """Reviews as lists of words, and 1 for praise, 0 for the opposite."""

    words: list
    praise: list


def reviews(n_train=4000, n_validation=500, n_test=1000, seed=0):
    """Three splits without a common review, names left aside.

    Parameters
    ----------
    n_train, n_validation, n_test : int
    seed : int

    Returns
    -------
    tuple of three Reviews
    """
    import numpy as np

    rng, seen, splits = np.random.default_rng(seed), set(), []
    for n in (n_train, n_validation, n_test):
        words, praise = [], []
        while len(words) < n:
            said, names = _draw(rng)
            key = " ".join("" if word in names else word for word in said)
            if key not in seen:
                seen.add(key)
                words.append(said)
                praise.append(verdict(said))
        splits.append(Reviews(words, praise))
    return tuple(splits)


def verdict(words):
    """Whether a review praises the film, by the rules above.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    int or None
        1 for praise, 0 for the opposite, None where the words are no review of this kind.
    """
    sentences = [s.split() for s in " ".join(words).split(".")]
    judging = [s for s in sentences if any(word in GOOD or word in BAD for word in s)]
    if len(judging) != 1:
        return None
    clause = " ".join(judging[0])
    if clause.startswith("although ") and clause.count(" , ") == 1:
        clause = clause.split(" , ")[1]
    elif " , although " in clause:
        clause = clause.split(" , although ")[0]
    elif " but " in clause:
        clause = clause.split(" but ")[-1]
    words = clause.split()
    opinions = [word in GOOD for word in words if word in GOOD or word in BAD]
    if len(opinions) != 1:
        return None
    turned = sum(word in TURNS for word in words) % 2
    return int(opinions[0] != turned)


def _draw(rng):
    """The words of one review, and the names among them."""

    def pick(options):
        return options[rng.integers(len(options))]

    def clause():
        subject, degree = pick(SUBJECTS), pick(DEGREES)
        turn = pick(TURNS) if rng.random() < 0.35 else ""
        return f"the {subject} was {turn} {degree} {pick(GOOD if rng.random() < 0.5 else BAD)}"

    form = rng.random()
    if form < 0.25:
        text = clause()
    elif form < 0.5:
        text = f"{clause()} but {clause()}"
    elif form < 0.75:
        text = f"although {clause()} , {clause()}"
    else:
        text = f"{clause()} , although {clause()}"
    name = "".join(pick(SYLLABLES) for _ in range(3))
    if rng.random() < 0.5:
        remark = pick(REMARKS).format(name=name)
        text = f"{remark} . {text}" if rng.random() < 0.5 else f"{text} . {remark}"
    return text.split(), {name}
