"""Chapter 06: one image turned, zoomed, shifted and sheared."""

import numpy as np

from course_lib import tables
from course_lib.explore.controls import Explorer, slider


def warp(function, image):
    """Turn, enlarge, slant, mirror and move an image with the learner's own function, in a single warp.

    Parameters
    ----------
    function : callable
        ``function(x, matrix, offset, fill=...)`` as :func:`course_lib.augmentation.warp`.
    image : ndarray, shape (H, W)
        Grey, from 0 to 1.
    """

    def render(angle, zoom, slant, mirror, down, right):
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        turn, slide = np.array([[c, -s], [s, c]]), np.array([[1, 0], [slant / 100, 1]])
        A = zoom / 100 * turn @ slide @ np.diag([1, -1 if mirror else 1])
        y = np.asarray(function(image[None, None], A[None], np.array([[down, right]], float), fill=0.5))[0, 0]
        figures = [tables.matrix(image, "x", scale=1), tables.matrix(y, "your warp", scale=1), tables.matrix(A, "A")]
        return tables.row(figures)

    controls = {
        "angle": slider("turn (degrees)", -180, 180, 20),
        "zoom": slider("zoom (%)", 50, 200, 100),
        "slant": slider("slant (%)", -100, 100, 0),
        "mirror": slider("mirrored", 0, 1, 0),
        "down": slider("down (pixels)", -20, 20, 0),
        "right": slider("right (pixels)", -20, 20, 0),
    }
    return Explorer(render, controls)
