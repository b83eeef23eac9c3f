"""Chapter 04: scores turned into probabilities, and optimisers going downhill."""

import html

import ipywidgets
import numpy as np

from course_lib.explore.controls import Explorer, slider


def probabilities(softmax, names=("cat", "dog", "car", "house"), scores=(2, 1, 0, -1)):
    """Scores on sliders, and the probabilities that the learner's own softmax makes of them.

    Parameters
    ----------
    softmax : callable
        From scores (1, K) to probabilities (1, K).
    names : sequence of str
        Of the K classes.
    scores : sequence of int
        Where the sliders stand at first.
    """
    controls = {name: slider(name, -10, 10, value) for name, value in zip(names, scores, strict=True)}
    controls["added to all"] = slider("added to all", -1000, 1000, 0, step=100)

    def render(**values):
        added = values.pop("added to all")
        with np.errstate(all="ignore"):
            p = np.asarray(softmax(np.array([[value + added for value in values.values()]], dtype=float)))[0]
        rows = ""
        for name, value in zip(names, p, strict=True):
            width = 0 if np.isnan(value) else 18 * value
            bar = f"<div style='background:#0072B2;height:1.1em;width:{width:.2f}em;display:inline-block'></div>"
            rows += f"<tr><td style='text-align:right'>{html.escape(name)}&nbsp;</td><td>{bar} {value:.4f}</td></tr>"
        return f"<table>{rows}</table><div>sum: {p.sum():.4f}</div>"

    return Explorer(render, controls)


def descent(rules, steps=40):
    """Follow an optimiser down a long narrow valley, f(a, b) = (a² + 25 b²) / 2, from (-9, 1.6).

    Parameters
    ----------
    rules : dict of str to callable
        ``rule(lr)`` gives an optimiser with ``step(params, grads)``.
    steps : int
    """
    rule = ipywidgets.Dropdown(options=list(rules), description="rule", style={"description_width": "7em"})
    lr = ipywidgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in (0.005, 0.01, 0.02, 0.04, 0.07, 0.085, 0.15, 0.3, 0.6, 1.0)],
        value=0.04,
        description="learning rate",
        style={"description_width": "7em"},
        layout={"width": "28em"},
    )

    def render(rule, lr):
        p, optimizer = np.array([-9.0, 1.6]), rules[rule](lr)
        path = [p.copy()]
        for _ in range(steps):
            optimizer.step({"p": p}, {"p": p * (1.0, 25.0)})
            path.append(p.copy())
        path = np.array(path)
        first, last = (float((at**2 * (1, 25)).sum() / 2) for at in (path[0], path[-1]))
        rings = "".join(
            f"<ellipse rx='{36 * size:.0f}' ry='{36 * size / 5:.1f}' fill='none' stroke='currentColor' opacity='.35'/>"
            for size in (1, 2, 4, 6, 8, 10)
        )
        shown = np.clip(path, (-11, -2.4), (11, 2.4)) * (36, 36)
        points = " ".join(f"{a:.1f},{-b:.1f}" for a, b in shown)
        dots = "".join(f"<circle cx='{a:.1f}' cy='{-b:.1f}' r='2.6' fill='#D55E00'/>" for a, b in shown)
        return (
            "<svg viewBox='-400 -90 800 180' width='640' height='144' role='img' aria-label='path of the optimiser'>"
            f"{rings}<path d='M-6,0H6M0,-6V6' stroke='currentColor'/>"
            f"<polyline points='{points}' fill='none' stroke='#D55E00' stroke-width='1.4'/>{dots}</svg>"
            f"<div>f after {steps} steps: <b>{last:.3g}</b> (at the start {first:.3g}); + marks the minimum</div>"
        )

    return Explorer(render, {"rule": rule, "lr": lr})
