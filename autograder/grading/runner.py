"""Inside the sandbox: run a submission's cells, and apply the student's object to inputs as they are sent.

Nothing here knows an expected value, a seed or a score. A submission that takes this process over gains what it could
have had by returning the same arrays from its function: nothing.
"""

import io
import os
import sys
import warnings

from autograder import answer as answers
from autograder import exercise as exercises
from autograder.answer import Outcome
from autograder.grading import protocol
from autograder.verdict import Case

PRINTED = 20_000  # characters kept of what a cell prints


class Output(io.TextIOBase):
    """What a cell prints, up to a limit; the rest is counted and dropped."""

    def __init__(self):
        self.parts, self.room, self.dropped = [], PRINTED, 0

    def write(self, text):
        text = str(text)
        kept = text[: self.room]
        if kept:
            self.parts.append(kept)
            self.room -= len(kept)
        self.dropped += len(text) - len(kept)
        return len(text)

    def text(self):
        more = f"\n... {self.dropped:,} more characters" if self.dropped else ""
        return "".join(self.parts) + more


def make_shell():
    """The IPython shell that cells run in. Made once, before the fork."""
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    HistoryManager.enabled = False
    shell = InteractiveShell.instance(colors="nocolor")
    shell.showtraceback = lambda *args, **kwargs: None  # an error is sent as plain text, see run_cell
    shell.showsyntaxerror = lambda *args, **kwargs: None
    shell.enable_gui = lambda *args, **kwargs: None  # figures are not kept, so that %matplotlib has nothing to do
    shell.user_ns.pop("exit", None), shell.user_ns.pop("quit", None)
    # An exercise's own check needs the reference, which is not here; in a student's cell it does nothing.
    exercises.Exercise.check = exercises.Exercise.solution = exercises.Exercise.hint = lambda *args: None
    exercises.Exercise.working = lambda self, answer: answer
    run_cell(shell, "1 / 0")  # loads what IPython imports only when a cell runs, and when one fails
    shell.reset(new_session=True)
    return shell


def serve(connection, shell):
    """Answer the grader's messages until it closes the connection."""
    subject = None  # the student's object under test, and how it is driven
    protocol.send(connection, {"ready": True})
    while True:
        message = protocol.receive(connection)
        if message["do"] == "run":
            protocol.send(connection, run_cell(shell, message["source"]))
        elif message["do"] == "find":
            subject, reply = find(shell, message)
            protocol.send(connection, reply)
        else:
            for args, kwargs in message["cases"]:
                send_outcome(connection, apply(subject, args, kwargs))


def send_outcome(connection, outcome):
    """Send what an answer did; a result that is too large to send is described instead."""
    try:
        protocol.send(connection, as_message(outcome))
    except (ValueError, TypeError) as error:
        large = Outcome(value=answers.Alien(f"a result that cannot be looked at: {error}"))
        protocol.send(connection, as_message(large))


def run_cell(shell, source):
    """Run one cell; what it prints and how it failed, as text."""
    output = Output()
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = output
    try:
        result = shell.run_cell(source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as escaped:  # from a hook or a transformer that the submission has installed
        error = escaped
    finally:
        sys.stdout, sys.stderr = stdout, stderr
    failed = ""
    if error is not None:
        raised = answers._describe(error)
        where = f" (line {raised.number}: {raised.line})" if raised.line else ""
        failed = f"{raised.kind}: {raised.message}{where}"
    return {"printed": output.text(), "failed": failed}


def find(shell, message):
    """Evaluate the expression of a check, once for all its cases.

    Returns
    -------
    (callable or None, dict)
        The object with its drive; what went wrong, in the reply.
    """
    try:
        module = __import__(message["module"], fromlist=["*"])
        exercise = getattr(module, message["exercise"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = eval(compile(message["expression"], "<check>", "eval"), shell.user_ns)
    except BaseException as error:
        return None, as_message(Outcome(raised=answers._describe(error)))
    return (exercise.drive, found, exercise.may_write), {"found": True}


def apply(subject, args, kwargs):
    """The outcome of the student's object on one case."""
    drive, found, may_write = subject
    return answers.run(drive, found, Case("", tuple(args), dict(kwargs)), may_write)


def as_message(outcome):
    """An outcome as plain data."""
    raised = None if outcome.raised is None else dict(vars(outcome.raised))
    return {
        "value": outcome.value,
        "raised": raised,
        "overwritten": list(outcome.overwritten),
        "printed": outcome.printed,
    }


def become(connection, shell):
    """The life of a runner after its fork: fresh random numbers, no open file but the connection, then serve."""
    import random

    import numpy as np

    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    keep = connection.fileno()
    os.closerange(3, keep)
    os.closerange(keep + 1, 4096)
    random.seed()
    np.random.seed()  # noqa: NPY002  (the generator that a submission may use without one of its own)
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    try:
        serve(connection, shell)
    except protocol.ProtocolError:
        pass  # the grader has hung up: the notebook is done
    finally:
        os._exit(0)
