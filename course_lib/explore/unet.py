"""Chapter 08: through the slices of a heart, with the threshold in hand."""

import base64
import io

import ipywidgets
import numpy as np

from course_lib.explore.controls import Explorer, slider
from course_lib.plots import overlay


def heart(images, probabilities, labels, dice, class_index=3):
    """Go through the slices and move the threshold above which a pixel counts as left ventricle.

    Parameters
    ----------
    images : ndarray, shape (S, H, W), uint8
    probabilities : ndarray, shape (S, H, W, K)
        What the network says.
    labels : ndarray of int, shape (S, H, W)
        What is right.
    dice : callable
        ``dice(y, predicted, K)`` as :func:`course_lib.unet.dice`.
    class_index : int
        The class that is looked at.
    """
    p = probabilities[..., class_index]
    right = (labels == class_index).astype(int)

    def render(slice, threshold):
        found = (p > threshold / 100).astype(int)
        pictures = [
            _picture(overlay(images[slice], np.zeros_like(right[slice])), "the slice"),
            _picture(np.repeat(p[slice][..., None], 3, axis=-1), "probability"),
            _picture(overlay(images[slice], 3 * found[slice]), "above the threshold"),
            _picture(overlay(images[slice], 3 * right[slice]), "right"),
        ]
        here, whole = dice(right[slice], found[slice], 2)[1], dice(right, found, 2)[1]
        return (
            f"<div style='display:flex;flex-wrap:wrap'>{''.join(pictures)}</div>"
            f"<div>Dice in this slice <b>{here:.3f}</b>, in the volume <b>{whole:.3f}</b>; "
            f"{found.sum():,} pixels found, {right.sum():,} are right</div>"
        )

    controls = {
        "slice": slider("slice", 0, len(images) - 1, len(images) // 2),
        "threshold": ipywidgets.IntSlider(
            value=50, min=1, max=99, description="threshold (%)", style={"description_width": "7em"},
            layout={"width": "28em"},
        ),
    }  # fmt: skip
    return Explorer(render, controls)


def _picture(rgb, caption):
    """An (H, W, 3) array from 0 to 1 as an image with a caption."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray((255 * np.clip(rgb, 0, 1)).astype(np.uint8)).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    picture = f'<img alt="{caption}" src="data:image/png;base64,{data}" style="width:180px;image-rendering:pixelated">'
    return (
        f'<figure style="margin:.3em .8em .3em 0"><figcaption style="font-size:85%;opacity:.85">{caption}</figcaption>'
        f"{picture}</figure>"
    )
