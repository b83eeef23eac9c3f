"""Chapter 03: which entries of a gradient are wrong."""

import ipywidgets
import numpy as np

from course_lib import tables
from course_lib.explore.controls import Explorer, slider


def gradient_errors(check, layers):
    """Heat-maps of the errors in a convolutional layer's gradients: where they are tells which bug it is.

    Parameters
    ----------
    check : callable
        ``check(layer, x, dy)`` gives the relative error of every entry of dx, dW and db, by the names x, W and b.
    layers : dict of str to callable
        By a name to choose, what makes the layer: ``make(W, b, stride, padding)``.
    """

    def render(layer, stride, padding, draw):
        rng = np.random.default_rng(draw)
        x, W, b = rng.normal(size=(2, 1, 5, 6)), rng.normal(size=(2, 1, 3, 2)), rng.normal(size=2)
        made = layers[layer](W, b, stride, padding)
        errors = check(made, x, rng.normal(size=made.forward(x).shape))
        parts = {f"dx, image {n}": errors["x"][n, 0] for n in range(2)}
        parts |= {f"dW, filter {o}": errors["W"][o, 0] for o in range(2)}
        parts["db"] = errors["b"]
        figures = [tables.matrix(np.round(e, 2), name, e > 1e-4, scale=1.0) for name, e in parts.items()]
        counts = ", ".join(f"{(e > 1e-4).sum()} of {e.size} entries of d{name}" for name, e in errors.items())
        return tables.row(figures) + f"<div>relative errors, 0 is right; wrong (framed): {counts}</div>"

    controls = {
        "layer": ipywidgets.Dropdown(options=list(layers), description="layer", style={"description_width": "7em"}),
        "stride": slider("stride", 1, 3),
        "padding": slider("padding", 0, 2),
        "draw": slider("random numbers", 0, 9),
    }
    return Explorer(render, controls)
