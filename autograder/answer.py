"""Run a student's answer on one case and keep what it did as plain data.

Nothing here knows what the right result would be. What leaves this module is NumPy arrays of numbers, strings, and
lists, tuples and dictionaries of them: a comparison made on it cannot be fooled by an object that lies about itself.
"""

import contextlib
import copy
import io
import linecache
import os
import sys
import traceback
import warnings
from dataclasses import dataclass

import numpy as np

import course_lib

LARGEST = 256 * 2**20  # bytes of one array that are still looked at
DEEPEST, LONGEST = 4, 10_000  # nesting and length of lists, tuples and dictionaries
PRINTED = 4_000  # characters kept of what an answer prints


@dataclass(frozen=True)
class Alien:
    """Stands for a value that cannot be compared. ``description`` completes "your result is ..."."""

    description: str


@dataclass(frozen=True)
class Raised:
    """An exception of the student's code."""

    kind: str  # the exception's class name
    message: str
    line: str = ""  # the student's line that raised it
    number: int = 0  # its line number in the cell or file
    missing: str = ""  # for NotImplementedError: the function that is not written yet


@dataclass(frozen=True)
class Outcome:
    """What an answer did with the arguments of one case."""

    value: object = None  # plain
    raised: Raised | None = None
    overwritten: tuple[int, ...] = ()  # positions of the arguments that the answer wrote into
    printed: str = ""


def plain(value, depth=0):
    """A copy of ``value`` made of plain data only; an :class:`Alien` stands for whatever has no such copy.

    Numbers of every kind (Python, NumPy, 0-d arrays and tensors) become 0-d arrays. Subclasses of ndarray lose their
    class, so that nothing they override is called later.
    """
    try:
        return _plain(value, depth)
    except Exception as error:  # a hostile or broken object: whatever its methods raise, it is not an array of numbers
        return Alien(f"{_article(type(value).__name__)} that cannot be read ({type(error).__name__})")


def _plain(value, depth):
    kind = type(value)  # not value.__class__, which may lie
    if value is None or kind is str or kind is Alien:
        return value
    if kind is bool or kind is int or kind is float or kind is complex:
        return _plain_array(np.asarray(value))  # an integer beyond 64 bits becomes an object array, and is refused
    if issubclass(kind, np.ndarray):
        return _plain_array(np.ndarray.view(value, np.ndarray))
    if issubclass(kind, np.generic):
        return _plain_array(np.asarray(value))
    if kind.__module__.partition(".")[0] == "torch" and "torch" in sys.modules:
        torch = sys.modules["torch"]
        if issubclass(kind, torch.Tensor):
            if value.dtype == torch.bfloat16:  # NumPy has no such numbers
                value = torch.Tensor.float(value)
            return _plain_array(torch.Tensor.numpy(value, force=True))  # whatever its device, gradient or lazy sign
    if hasattr(kind, "__array__") and kind.__module__.partition(".")[0] in ("tensorflow", "keras", "cupy"):
        return _plain_array(value.get() if kind.__module__.startswith("cupy") else np.asarray(value))
    if issubclass(kind, (list, tuple, dict)):
        if depth == DEEPEST:
            return Alien("nested too deeply")
        size = kind.__len__(value)
        if size > LONGEST:
            return Alien(f"{_article(kind.__name__)} of {size:,} elements")
        if issubclass(kind, dict):
            return {str(key): plain(entry, depth + 1) for key, entry in dict.items(value)}
        if issubclass(kind, tuple):
            return tuple(plain(entry, depth + 1) for entry in tuple.__iter__(value))
        return [plain(entry, depth + 1) for entry in list.__iter__(value)]
    return Alien(_article(kind.__name__))


def _plain_array(array):
    if array.size * array.itemsize > LARGEST:
        return Alien(f"an array of shape {array.shape}, {array.size * array.itemsize / 2**30:,.1f} GiB")
    if array.dtype.kind not in "biufc":
        what = "Python objects" if array.dtype.kind == "O" else f"dtype {array.dtype}"
        return Alien(f"an array of {what}, not of numbers")
    return np.array(array, subok=False)


def _article(noun):
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def run(drive, answer, case, may_write=False):
    """Give ``answer`` the arguments of ``case`` and say what happened, whatever happens.

    Parameters
    ----------
    drive : callable
        ``drive(answer, *args, **kwargs)`` uses the student's object and returns what is compared.
    answer : object
        The student's function, class or result.
    case : Case
        Its arguments are copied, so that an answer which writes into them harms nothing.
    may_write : bool
        Whether writing into an argument is allowed.

    Returns
    -------
    Outcome
    """
    args, kwargs = copy.deepcopy((case.args, case.kwargs))
    with _captured() as printed:
        try:
            value = plain(drive(answer, *args, **kwargs))
        except KeyboardInterrupt:
            raise  # the student pressed stop
        except BaseException as error:  # SystemExit too: an answer that calls exit() must not end the check
            return Outcome(raised=_describe(error), printed=printed.getvalue())
    overwritten = ()
    if not may_write:
        given = (*case.args, *case.kwargs.values())
        now = (*args, *kwargs.values())
        overwritten = tuple(k for k, (old, new) in enumerate(zip(given, now, strict=True)) if not _same(old, new))
    return Outcome(value=value, overwritten=overwritten, printed=printed.getvalue())


def _same(old, new):
    if isinstance(old, np.ndarray):
        return old.shape == new.shape and np.array_equal(old, new, equal_nan=old.dtype.kind in "fc")
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(_same, old, new))
    return True  # numbers and strings cannot be written into


def _describe(error):
    """An exception as the student should see it: their line, not ours."""
    ours = os.path.dirname(__file__)
    frames = [
        frame for frame in traceback.walk_tb(error.__traceback__) if not frame[0].f_code.co_filename.startswith(ours)
    ]
    # The student's own deepest line: files of installed packages are skipped, cells and scripts are kept.
    written = [f for f in frames if "site-packages" not in f[0].f_code.co_filename and not _is_library(f[0])]
    line, number, missing = "", 0, ""
    if written:
        frame, number = written[-1]
        line = linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()
        if isinstance(error, NotImplementedError) and frame.f_code is not written[0][0].f_code:
            missing = frame.f_code.co_name
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
    try:
        message = str(error)
    except Exception:
        message = ""
    return Raised(type(error).__name__, message[:500], line[:200], number, missing)


def _is_library(frame):
    libraries = (os.path.dirname(os.__file__), os.path.dirname(course_lib.__file__))
    return frame.f_code.co_filename.startswith((*libraries, "<frozen", "<__array_function__"))


class _Bounded(io.StringIO):
    """Keeps the first characters only, so that a print in a loop costs no memory."""

    def write(self, text):
        room = PRINTED - self.tell()
        if room > 0:
            super().write(text[:room])
        return len(text)


@contextlib.contextmanager
def _captured():
    """Keep prints, warnings and displays out of the cell: nbgrader reads a cell's outputs as its score."""
    stream = _Bounded()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(stream))
        stack.enter_context(contextlib.redirect_stderr(stream))
        stack.enter_context(warnings.catch_warnings())
        if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
            from IPython.utils.capture import capture_output

            stack.enter_context(capture_output(stdout=False, stderr=False, display=True))
        yield stream
