"""Chapter 10: what non-maximum suppression keeps."""

import numpy as np

from course_lib.explore.controls import Explorer, slider

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def suppression(nms, boxes, scores, classes, names, size=128):
    """Move the threshold and see which boxes the learner's own ``nms`` keeps.

    Parameters
    ----------
    nms : callable
        ``nms(boxes, scores, classes, threshold)`` gives the indices of those kept.
    boxes : Tensor, shape (N, 4)
    scores : Tensor, shape (N,)
    classes : Tensor of int, shape (N,)
    names : sequence of str
        Of the classes.
    size : int
        Height and width of the image.
    """
    controls = {"percent": slider("threshold, %", 0, 100, 50, step=5), "shown": slider("scores above, %", 0, 95, 5, 5)}

    def render(percent, shown):
        few = scores > shown / 100
        b, s, c = boxes[few], scores[few], classes[few]
        kept = set(np.asarray(nms(b, s, c, percent / 100)).tolist())
        lines = ""
        for k in sorted(range(len(b)), key=lambda k: k in kept):
            x1, y1, x2, y2 = b[k].tolist()
            style = "stroke-width='1.4'" if k in kept else "stroke-width='.5' stroke-dasharray='2 2' opacity='.6'"
            lines += (f"<rect x='{x1:.1f}' y='{y1:.1f}' width='{x2 - x1:.1f}' height='{y2 - y1:.1f}' fill='none' "
                      f"stroke='{COLOURS[int(c[k]) % 4]}' {style}/>")  # fmt: skip
            if k in kept:
                lines += (f"<text x='{x1 + 1:.1f}' y='{y1 + 6:.1f}' font-size='5.5' fill='currentColor'>"
                          f"{names[int(c[k])]} {float(s[k]):.2f}</text>")  # fmt: skip
        return (
            f"<svg viewBox='0 0 {size} {size}' width='420' height='420' role='img' "
            f"aria-label='{len(kept)} of {len(b)} boxes are kept'>"
            f"<rect width='{size}' height='{size}' fill='none' stroke='currentColor' opacity='.4'/>{lines}</svg>"
            f"<div><b>{len(kept)}</b> of {len(b)} boxes kept (solid); the others are dashed</div>"
        )

    return Explorer(render, controls)
