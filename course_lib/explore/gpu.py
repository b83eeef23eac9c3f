"""Chapter 05: copies and work on one time line."""

import numpy as np

from course_lib.explore.controls import Explorer, slider


def pipeline(schedule, batches=6):
    """Batches on the bus and on the device: sliders for the two times and the number of buffers.

    Parameters
    ----------
    schedule : callable
        ``schedule(copy, compute, buffers)`` gives a row of four times for each batch, as ``gpu.schedule`` does.
    batches : int
    """
    row, left, width = 34, 60, 640

    def render(copy, compute, buffers):
        times = np.asarray(schedule([float(copy)] * batches, [float(compute)] * batches, buffers))
        scale = width / (batches * (copy + compute))
        bars = []
        for k, (start, arrived, begin, end) in enumerate(times):
            for y, (a, b), colour in ((0, (start, arrived), "#0072B2"), (1, (begin, end), "#D55E00")):
                x, w = left + a * scale, (b - a) * scale
                bars.append(
                    f'<rect x="{x:.1f}" y="{y * row + 4}" width="{w:.1f}" height="{row - 8}" fill="{colour}" '
                    f'fill-opacity=".65" stroke="currentColor"/>'
                    f'<text x="{x + w / 2:.1f}" y="{y * row + 22}" text-anchor="middle" fill="currentColor">{k}</text>'
                )
        names = "".join(
            f'<text x="0" y="{y * row + 22}" fill="currentColor">{name}</text>'
            for y, name in enumerate(("bus", "device"))
        )
        busy = batches * compute / times[-1, 3]
        return (
            f'<svg width="{left + width + 10}" height="{2 * row + 4}" role="img" '
            f'aria-label="timeline of {batches} batches" style="max-width:100%">{names}{"".join(bars)}</svg>'
            f"<p>All {batches} batches are done after <b>{times[-1, 3]:g}</b> ms "
            f"({batches * (copy + compute):g} ms one after the other). "
            f"The device computes {100 * busy:.0f} % of the time.</p>"
        )

    controls = {
        "copy": slider("copy (ms)", 1, 9, 2),
        "compute": slider("compute (ms)", 1, 9, 3),
        "buffers": slider("buffers", 1, 4, 2),
    }
    return Explorer(render, controls)
