"""Chapter 02: a window that steps over an image."""

import inspect

import numpy as np

from course_lib import tables
from course_lib.explore.controls import Explorer, slider


def pool(function, x, operation="max", knobs=True):
    """Step a pooling window over one image with the learner's own function.

    Parameters
    ----------
    function : callable
        ``function(x, size)``, or with knobs ``function(x, size, stride, padding)``, on arrays of shape (N, C, H, W).
    x : ndarray, shape (H, W)
        It is given to the function as one image of one channel.
    operation : {"max", "mean"}
        What is written under the picture. A maximum sees a border of −∞; a mean leaves the border out.
    knobs : bool
        Whether stride and padding can be changed, if the function takes them.
    """
    knobs = knobs and {"stride", "padding"} <= set(inspect.signature(function).parameters)
    step, size = slider("position", 0, 99), slider("size", 1, 3, value=2)
    stride, padding = slider("stride", 1, 3, value=2), slider("padding", 0, 1)

    def render(position, size, stride=None, padding=0):
        padding = min(padding, size // 2)  # a window must touch the image
        more = {"stride": stride, "padding": padding} if knobs else {}
        y = np.asarray(function(x[None, None], size, **more))[0, 0]
        stride = size if stride is None else stride
        border = -np.inf if operation == "max" else 0.0
        padded = np.pad(np.asarray(x, float), padding, constant_values=border)
        OH, OW = y.shape
        step.max = OH * OW - 1
        i, j = divmod(min(position, OH * OW - 1), OW)
        seen, inside, here = np.zeros(padded.shape, bool), np.zeros(padded.shape, bool), np.zeros(y.shape, bool)
        seen[i * stride : i * stride + size, j * stride : j * stride + size] = True
        inside[padding : padding + x.shape[0], padding : padding + x.shape[1]] = True
        here[i, j] = True
        numbers = ", ".join(map(tables.number, padded[seen if operation == "max" else seen & inside]))
        name = "x" if padding == 0 else "x with its border"
        return (
            tables.row([tables.matrix(padded, name, seen), tables.matrix(y, "y", here)])
            + f"<div>y[{i}, {j}] = {operation}({numbers}) = <b>{tables.number(y[i, j])}</b></div>"
        )

    controls = {"position": step, "size": size}
    if knobs:
        controls |= {"stride": stride, "padding": padding}
    return Explorer(render, controls)
