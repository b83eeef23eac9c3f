"""Say how one plain value differs from another: shape first, then kind of number, then NaN, then the values."""

import math
from dataclasses import dataclass

import numpy as np

from autograder.answer import Alien

KINDS = {
    "b": "booleans",
    "i": "integers",
    "u": "unsigned integers",
    "f": "floating-point numbers",
    "c": "complex numbers",
}


@dataclass(frozen=True)
class Tolerance:
    """``|yours - expected| <= atol + rtol * |expected|`` for every entry.

    The defaults are for float64; where either side is float32 or float16, ``single`` or more is granted to both.
    """

    rtol: float = 1e-6
    atol: float = 1e-8
    single: float = 1e-4
    exact_dtype: bool = False  # the very dtype, not only its kind
    share: float = 1.0  # of an array's entries that must agree; less than 1 for what a trained network predicts

    def of(self, yours, expected):
        """The ``(rtol, atol)`` that applies to these two arrays."""
        if any(a.dtype.kind in "fc" and a.dtype.itemsize // (1 + (a.dtype.kind == "c")) < 8 for a in (yours, expected)):
            return max(self.rtol, self.single), max(self.atol, self.single)
        return self.rtol, self.atol


@dataclass(frozen=True)
class Difference:
    """The first way in which a result is wrong.

    ``kind`` is one of ``type``, ``shape``, ``dtype``, ``nan``, ``value``. ``yours`` and ``expected`` are the two
    arrays concerned (``None`` where there is no array to show), ``index`` the first wrong entry.
    """

    kind: str
    message: str
    yours: np.ndarray | None = None
    expected: np.ndarray | None = None
    index: tuple[int, ...] | None = None
    where: str = ""  # which part of a tuple or dictionary, such as "dx"


def difference(yours, expected, tolerance=Tolerance(), where=""):  # noqa: B008  (frozen)
    """Compare two plain values (see :func:`autograder.answer.plain`).

    Returns
    -------
    Difference or None
        None if they agree.
    """
    if isinstance(expected, np.ndarray):
        return _array_difference(yours, expected, tolerance, where)
    if isinstance(expected, (list, tuple)):
        # A list is accepted for a tuple and the other way round; their parts are what is taught.
        if not isinstance(yours, (list, tuple)):
            return _wrong_type(yours, f"{len(expected)} results", where)
        if len(yours) != len(expected):
            message = f"you return {len(yours)} values, {len(expected)} are expected"
            return Difference("type", message, where=where)
        parts = [(f"{where}[{k}]", y, e) for k, (y, e) in enumerate(zip(yours, expected, strict=True))]
    elif isinstance(expected, dict):
        if not isinstance(yours, dict):
            return _wrong_type(yours, "a dictionary", where)
        if set(yours) != set(expected):
            missing, extra = sorted(set(expected) - set(yours)), sorted(set(yours) - set(expected))
            message = " and ".join(
                f"{label} {', '.join(map(repr, names[:5]))}"
                for label, names in (("missing", missing), ("not expected:", extra))
                if names
            )
            return Difference("type", message, where=where)
        parts = [(f"{where}.{key}" if where else key, yours[key], expected[key]) for key in expected]
    else:  # a string or None
        if isinstance(yours, type(expected)) and yours == expected:
            return None
        if isinstance(yours, str) and isinstance(expected, str):
            return Difference("value", f"your result is {yours[:200]!r}, expected {expected!r}", where=where)
        return _wrong_type(yours, repr(expected), where)
    for name, y, e in parts:
        found = difference(y, e, tolerance, name)
        if found is not None:
            return found
    return None


def agree(yours, expected, tolerance=Tolerance()):  # noqa: B008
    """Whether two plain values are the same to the tolerance."""
    return difference(yours, expected, tolerance) is None


def _array_difference(yours, expected, tolerance, where):
    if not isinstance(yours, np.ndarray):
        what = "a number" if expected.ndim == 0 else f"a NumPy array of shape {expected.shape}"
        return _wrong_type(yours, what, where)
    subject = f"the part {where} of your result" if where else "your result"
    if yours.shape != expected.shape:
        message = f"{subject} {_shape(yours)}, expected {_shape(expected).removeprefix('has ').removeprefix('is ')}"
        return Difference("shape", message, yours, expected, where=where)
    if tolerance.exact_dtype and yours.dtype != expected.dtype:
        message = f"{subject} has dtype {yours.dtype}, expected {expected.dtype}"
        return Difference("dtype", message, yours, expected, where=where)
    if _family(yours) != _family(expected):
        message = f"{subject} holds {KINDS[yours.dtype.kind]}, expected {KINDS[expected.dtype.kind]}"
        return Difference("dtype", message, yours, expected, where=where)
    if expected.dtype.kind in "fc":
        wrong = np.isnan(yours) != np.isnan(expected)
        if wrong.any():
            index = _first(wrong)
            which = "NaN (not a number)" if np.isnan(yours[index]) else f"{_number(yours[index])} instead of NaN"
            right = f", expected {_number(expected[index])}" if np.isnan(yours[index]) else ""
            return Difference("nan", f"{subject} is {which}{_at(index)}{right}", yours, expected, index, where)
    rtol, atol = tolerance.of(yours, expected) if expected.dtype.kind in "fc" else (0, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        wrong = ~np.isclose(yours, expected, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any() and (~wrong).mean() < tolerance.share:
        index = _first(wrong)
        if tolerance.share < 1:
            needed = math.ceil(tolerance.share * wrong.size)
            message = f"{subject} is right for {(~wrong).sum():,} of {wrong.size:,} entries; {needed:,} are needed"
            return Difference("value", message, yours, expected, index, where)
        share = f"; {wrong.sum():,} of {wrong.size:,} entries differ" if wrong.size > 1 else ""
        message = f"{subject} is {_number(yours[index])}{_at(index)}, expected {_number(expected[index])}{share}"
        return Difference("value", message, yours, expected, index, where)
    return None


def _family(array):
    return "i" if array.dtype.kind == "u" else array.dtype.kind


def _wrong_type(yours, expected, where):
    subject = f"the part {where} of your result" if where else "your result"
    if yours is None:
        return Difference("type", f"{subject} is None, expected {expected}; is a `return` missing?", where=where)
    if isinstance(yours, Alien):
        what = yours.description
    elif isinstance(yours, np.ndarray):
        what = f"an array of shape {yours.shape}" if yours.ndim else f"the number {_number(yours[()])}"
    elif isinstance(yours, str):
        what = f"the text {yours[:60]!r}"
    else:
        what = f"a {type(yours).__name__} of {len(yours)} element{'' if len(yours) == 1 else 's'}"
    hint = "; np.array(...) makes one of a list" if isinstance(yours, list) and "array" in expected else ""
    return Difference("type", f"{subject} is {what}, expected {expected}{hint}", where=where)


def _shape(array):
    return f"has shape {array.shape}" if array.ndim else f"is the single number {_number(array[()])}"


def _first(wrong):
    return tuple(int(k) for k in np.unravel_index(np.argmax(wrong), wrong.shape))


def _at(index):
    return f" at [{', '.join(map(str, index))}]" if index else ""


def _number(value):
    value = value.item()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
