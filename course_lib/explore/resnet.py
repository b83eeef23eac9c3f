"""Chapter 07: what depth does to a factor."""

import ipywidgets

from course_lib.explore.controls import Explorer, slider


def depth():
    """A signal's size after many layers, each of which multiplies it by the same factor."""
    factor = ipywidgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in (0.25, 0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 2.0, 4.0)],
        value=2.0,
        description="factor",
        style={"description_width": "7em"},
        layout={"width": "28em"},
    )

    def render(factor, layers):
        sizes = [factor**k for k in range(layers + 1)]
        points = " ".join(f"{12 * k},{-6 * _decades(size):.1f}" for k, size in enumerate(sizes))
        return (
            "<svg viewBox='-10 -100 620 200' width='620' height='200' role='img' aria-label='size after each layer'>"
            "<path d='M0,0H600' stroke='currentColor' opacity='.5'/>"
            "<text x='470' y='-6' fill='currentColor' font-size='12'>as large as at first</text>"
            f"<polyline points='{points}' fill='none' stroke='#0072B2' stroke-width='2'/></svg>"
            f"<div>{factor:g} to the power {layers} = <b>{sizes[-1]:,.6g}</b></div>"
        )

    return Explorer(render, {"factor": factor, "layers": slider("layers", 1, 50, value=20)})


def _decades(size):
    """Powers of ten, kept inside the picture."""
    from math import log10

    return max(-15, min(15, log10(size)))
