"""Chapter 09: the data, a generator on two sliders, and the best discriminator against it."""

import numpy as np

from course_lib.explore.controls import Explorer, slider

_X = np.linspace(-6, 6, 121)


def duel(best_discriminator):
    """Data around 0; move and stretch the generator, and see D and the value of the game.

    Parameters
    ----------
    best_discriminator : callable
        ``(p, q)`` to ``(D, V)``, as :func:`course_lib.pix2pix.best_discriminator`; the learner's own.
    """

    def normal(mean, deviation):
        p = np.exp(-(((_X - mean) / deviation) ** 2) / 2)
        return p / p.sum()

    def curve(y, colour, dash):
        points = " ".join(f"{40 + 50 * (x + 6):.1f},{150 - 130 * v:.1f}" for x, v in zip(_X, y, strict=True))
        return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dash}'/>"

    def render(mean, width):
        p, q = normal(0, 1), normal(mean / 10, width / 10)
        D, V = best_discriminator(p, q)
        top = max(p.max(), q.max())
        parts = curve(p / top, "#0072B2", "") + curve(q / top, "#D55E00", "7 3") + curve(D, "currentColor", "2 3")
        axis = "<path d='M40,150H640' stroke='currentColor'/><path d='M40,85H640' stroke='currentColor' opacity='.3'/>"
        label = "<text x='4' y='89' font-size='11' fill='currentColor'>D = ½</text>"
        share = (float(V) + np.log(4)) / np.log(4)
        bar = f"<div style='background:#009E73;height:.8em;width:{30 * min(1.0, max(0.0, share)):.2f}em'></div>"
        return (
            "<svg viewBox='0 0 650 165' width='650' height='165' role='img' "
            "aria-label='data, generator and the best discriminator over x'>"
            f"{axis}{label}{parts}</svg>"
            "<div><span style='color:#0072B2'>— data</span> &nbsp; <span style='color:#D55E00'>- - generator</span> "
            f"&nbsp; ··· best D &nbsp; <b>V = {float(V):.4f}</b>, {float(V) + np.log(4):.4f} above −log 4</div>{bar}"
        )

    controls = {"mean": slider("generator: mean × 10", -40, 40, 20), "width": slider("width × 10", 3, 25, 7)}
    return Explorer(render, controls)
