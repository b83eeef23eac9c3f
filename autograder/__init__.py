"""The autograder: exercises, the checks that students run, and (in ``grading``) what an instructor runs.

In a notebook::

    from autograder.exercises import convolution as ex

    ex.conv2d.check(conv2d)
    ex.conv2d.hint()
    ex.conv2d.solution()
"""


class NotReady(Exception):
    """A course folder is not ready for what was asked of it; the message says what to do."""
