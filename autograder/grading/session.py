"""Outside: one submission's runner, what it is asked, and the next runner when that one has died.

Whatever a runner sends may be a lie; what leaves this module is an outcome made of plain data, or :class:`Dead`.
"""

import signal
import time

from autograder.answer import PRINTED, Outcome, Raised, plain
from autograder.grading import protocol, runner


class Dead(Exception):
    """The runner had to be ended, or had ended. ``raised`` says so in the student's words."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.raised = Raised(kind, message)


class Session:
    """A submission's runner, and the next one when that has died.

    Use as a context manager: afterwards nothing that the submission started is left.
    """

    def __init__(self, zygote, limits):
        self.zygote, self.limits = zygote, limits
        self.deadline = time.monotonic() + limits.notebook
        self._connection = None
        self._ran = []  # the cells that have run and did not kill the runner
        self.forks = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def run(self, text):
        """Run a cell.

        Returns
        -------
        (str, str)
            What it printed and how it failed.

        Raises
        ------
        Dead
        """
        self._revive()
        return self._run(text)

    def find(self, chapter, exercise, expression):
        """Look up the object that a check is about.

        Returns
        -------
        Outcome or None
            What went wrong; None if it was found.

        Raises
        ------
        Dead
        """
        self._revive()
        module = f"autograder.exercises.{chapter}"
        reply = self._ask({"do": "find", "module": module, "exercise": exercise, "expression": expression})
        return None if reply.get("found") is True else outcome(reply, ())

    def apply(self, cases):
        """Yield what the object that was found does with each case.

        All cases go in one message, so that grader and runner do not wait for each other between them.

        Raises
        ------
        Dead
        """
        message = {"do": "apply", "cases": [[list(case.args), case.kwargs] for case in cases]}
        for case, reply in zip(cases, self._ask_all(message, len(cases)), strict=True):
            yield outcome(reply, case.args)

    def _run(self, text):
        reply = self._ask({"do": "run", "source": text})
        printed, failed = reply.get("printed"), reply.get("failed")
        if not isinstance(printed, str) or not isinstance(failed, str):
            raise self._die("InterpreterLost", "the cell broke the connection to the grader")
        self._ran.append(text)
        return protocol.clean(printed[: runner.PRINTED + 100]), protocol.clean(failed[:2000])

    def _revive(self):
        """Fork a runner if there is none and bring it to where the last one was."""
        while self._connection is None:
            self._connection = self.zygote.start()
            self.forks += 1
            before, self._ran = self._ran, []
            for k, text in enumerate(before):
                try:
                    self._run(text)
                except Dead:  # it went well the first time; without it, then
                    self._ran = [*self._ran, *before[k + 1 :]]
                    break

    def _ask(self, message):
        [reply] = self._ask_all(message, 1)
        return reply

    def _ask_all(self, message, count):
        """Send a message and yield its replies, each of which has the time of a cell."""
        for k in range(count):
            now = time.monotonic()
            if now >= self.deadline:
                raise self._die("Timeout", f"the notebook had used its {self.limits.notebook:g} seconds before this")
            deadline = min(now + self.limits.cell, self.deadline)
            try:
                if k == 0:
                    protocol.send(self._connection, message, deadline)
                reply = protocol.receive(self._connection, deadline)
            except protocol.TooSlow:
                seconds = f"{deadline - now:.3g} seconds"
                raise self._die(
                    "Timeout", f"your code had not finished after {seconds}; is there an endless loop?"
                ) from None
            except protocol.ProtocolError as error:
                raise self._die("InterpreterLost", f"your code ended the Python process it ran in ({error})") from None
            yield reply

    def _die(self, kind, message):
        status = self._end()
        if kind == "InterpreterLost" and status & 127 and status & 127 != signal.SIGKILL:
            message = f"your code crashed the Python process it ran in ({signal.Signals(status & 127).name})"
        return Dead(kind, message)

    def _end(self):
        connection, self._connection = self._connection, None
        return self.zygote.stop(connection) if connection is not None else 0


def outcome(reply, args):
    """An outcome from what a runner has sent, which may be anything that can be sent."""
    raised = reply.get("raised")
    if raised is not None:
        fields = raised if isinstance(raised, dict) else {}
        texts = [fields.get(name) for name in ("kind", "message", "line", "missing")]
        kind, message, line, missing = (protocol.clean(text[:500]) if isinstance(text, str) else "" for text in texts)
        number = fields.get("number")
        raised = Raised(kind or "an exception", message, line, number if isinstance(number, int) else 0, missing)
    overwritten = reply.get("overwritten")
    overwritten = overwritten if isinstance(overwritten, list) else []
    known = tuple(k for k in overwritten if isinstance(k, int) and 0 <= k < len(args))
    printed = reply.get("printed")
    printed = protocol.clean(printed[:PRINTED]) if isinstance(printed, str) else ""
    return Outcome(plain(reply.get("value")), raised, known, printed)
