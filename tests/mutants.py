"""Plant one bug at a time in a reference function and count how many its exercise's check catches.

``python -m tests.mutants [CHAPTER ...]`` prints a table. A mutant that no input can tell from the original
(``x * 1`` for ``x``) is no bug: where one survives, the chapter's tests list it with its reason, as
``EQUIVALENT = {exercise: {"before  ->  after": reason}}``.
"""

import ast
import contextlib
import copy
import importlib
import inspect
import signal
import sys
import textwrap

import numpy as np

from autograder.exercise import exercises_of
from autograder.notebooks import exercise_module
from course_lib.syllabus import CHAPTERS, chapter

ENOUGH = 0.95
SECONDS = 2.0  # a mutant that runs longer is a hang, and caught

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutator(ast.NodeTransformer):
    """Changes the ``k``-th place that can be changed, and says what it did."""

    def __init__(self, k):
        self.k, self.seen, self.done = k, -1, None

    def _here(self):
        self.seen += 1
        return self.seen == self.k

    def _swap(self, node, field):
        self.generic_visit(node)
        new = SWAPS.get(type(getattr(node, field)))
        if new and self._here():
            before = ast.unparse(node)
            setattr(node, field, new())
            self.done = f"line {node.lineno}: {before}  ->  {ast.unparse(node)}"
        return node

    def visit_BinOp(self, node):
        return self._swap(node, "op")

    def visit_UnaryOp(self, node):
        if isinstance(node.operand, ast.Constant):  # a negative number
            if self._here():
                before = ast.unparse(node)
                node.operand = ast.copy_location(ast.Constant(node.operand.value + 1), node)
                self.done = f"line {node.lineno}: {before}  ->  {ast.unparse(node)}"
            return node
        return self._swap(node, "op")

    def visit_BoolOp(self, node):
        return self._swap(node, "op")

    def visit_AugAssign(self, node):
        return self._swap(node, "op")

    def visit_Compare(self, node):
        self.generic_visit(node)
        new = SWAPS.get(type(node.ops[0]))
        if new and self._here():
            before = ast.unparse(node)
            node.ops[0] = new()
            self.done = f"line {node.lineno}: {before}  ->  {ast.unparse(node)}"
        return node

    def visit_Constant(self, node):
        if type(node.value) in (int, float) and self._here():
            changed = ast.copy_location(ast.Constant(node.value + 1), node)
            self.done = f"line {node.lineno}: {node.value}  ->  {node.value + 1}"
            return changed
        if type(node.value) is bool and self._here():
            self.done = f"line {node.lineno}: {node.value}  ->  {not node.value}"
            return ast.copy_location(ast.Constant(not node.value), node)
        return node

    def visit_Call(self, node):
        """``reversed(x)`` becomes ``x``: from the front."""
        self.generic_visit(node)
        if ast.unparse(node.func) == "reversed" and self._here():
            self.done = f"line {node.lineno}: {ast.unparse(node)}  ->  {ast.unparse(node.args[0])}"
            return node.args[0]
        return node

    def visit_Tuple(self, node):
        """Exchange the first two elements: rows for columns."""
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Store) or len(node.elts) < 2:
            return node
        if ast.unparse(node.elts[0]) != ast.unparse(node.elts[1]) and self._here():
            before = ast.unparse(node)
            node.elts[0], node.elts[1] = node.elts[1], node.elts[0]
            self.done = f"line {node.lineno}: {before}  ->  {ast.unparse(node)}"
        return node

    def visit_If(self, node):
        if all(isinstance(statement, ast.Raise) for statement in node.body):
            return node  # a guard against bad input: what it lets through is tested with the library, not here
        self.generic_visit(node)
        if self._here():
            self.done = f"line {node.lineno}: if {ast.unparse(node.test)}  ->  if not"
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        return node

    def visit_FunctionDef(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        return node


def mutants_of(reference):
    """Yield ``(description, mutated object)`` for every change of a function or class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(reference)))
    k = 0
    while True:
        mutator = Mutator(k)
        changed = ast.fix_missing_locations(mutator.visit(copy.deepcopy(tree)))
        if mutator.done is None:
            return
        namespace = dict(vars(sys.modules[reference.__module__]))
        with contextlib.suppress(SyntaxError):
            exec(compile(changed, f"<mutant {k}>", "exec"), namespace)
            yield mutator.done, namespace[reference.__name__]
        k += 1


def survey(exercise):
    """How many mutants of an exercise's reference its check catches.

    Returns
    -------
    (int, list of str)
        The number caught, and the description of each mutant that passes and is not known to be equivalent.
    """
    caught, survivors = 0, []
    chapter_tests = importlib.import_module(f"tests.test_{exercise.module.rpartition('.')[2]}")
    known = getattr(chapter_tests, "EQUIVALENT", {}).get(exercise.name, {})
    cases = exercise.draw()
    expected = [exercise.expected(case) for case in cases]
    for description, mutant in mutants_of(exercise.reference):
        if description.partition(": ")[2] in known:
            continue
        if _is_caught(exercise, mutant, cases, expected):
            caught += 1
        else:
            survivors.append(description)
    return caught, survivors


def _is_caught(exercise, mutant, cases, expected):
    """As the check decides it, one case at a time, with a clock against endless loops."""
    from autograder.answer import run
    from autograder.compare import agree

    def too_long(signum, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        with np.errstate(all="ignore"):
            for case, right in zip(cases, expected, strict=True):
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                outcome = run(exercise.drive, mutant, case, exercise.may_write)
                signal.setitimer(signal.ITIMER_REAL, 0)
                if outcome.raised or outcome.overwritten or not agree(outcome.value, right, exercise.tolerance):
                    return True
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main():
    for which in [chapter(name) for name in sys.argv[1:]] or CHAPTERS:
        print(which.folder)
        for name, exercise in exercises_of(exercise_module(which)).items():
            caught, survivors = survey(exercise)
            print(f"  {name:28} {caught:3} of {caught + len(survivors):3} mutants caught")
            for survivor in survivors:
                print(f"      survives  {survivor}")


if __name__ == "__main__":
    main()
