"""Chapter 01: a filter that steps over an image."""

import inspect

import numpy as np

from course_lib import tables
from course_lib.explore.controls import Explorer, grid_of_numbers, slider


def slide(function, x, f, knobs=True):
    """Step a filter over an image with the learner's own function.

    Parameters
    ----------
    function : callable
        ``function(x, f)``, or with knobs ``function(x, f, bias, stride, padding)``.
    x, f : ndarray, shape (H, W) and (FH, FW)
    knobs : bool
        Whether stride, padding and the filter's numbers can be changed, if the function takes a stride and a padding.
    """
    knobs = knobs and {"stride", "padding"} <= set(inspect.signature(function).parameters)
    step = slider("position", 0, 99)

    def render(position, stride=1, padding=0, f=f):
        y = np.asarray(function(x, f, stride=stride, padding=padding) if knobs else function(x, f))
        padded = np.pad(x, padding)
        FH, FW = f.shape
        OH, OW = y.shape
        step.max = OH * OW - 1
        i, j = divmod(min(position, OH * OW - 1), OW)
        seen = np.zeros(padded.shape, bool)
        seen[i * stride : i * stride + FH, j * stride : j * stride + FW] = True
        here = np.zeros(y.shape, bool)
        here[i, j] = True
        terms = " + ".join(f"{_factor(a)}·{_factor(b)}" for a, b in zip(padded[seen], f.ravel(), strict=True))
        name = "x" if padding == 0 else "x with its border"
        return (
            tables.row([tables.matrix(padded, name, seen), tables.matrix(f, "f"), tables.matrix(y, "y", here)])
            + f"<div>y[{i}, {j}] = {terms} = <b>{tables.number(y[i, j])}</b></div>"
        )

    controls = {"position": step}
    if knobs:
        controls["stride"] = slider("stride", 1, 3)
        controls["padding"] = slider("padding", 0, 2)
        controls["f"] = grid_of_numbers("filter", np.asarray(f, float))
    return Explorer(render, controls)


def _factor(value):
    return f"({tables.number(value)})" if value < 0 else tables.number(value)
