"""Chapter 11: a trained LSTM reads a sentence; one gate of one unit is scrubbed over it."""

import html

import ipywidgets
import numpy as np

from course_lib.explore.controls import Explorer, slider

GATES = ("input gate i", "forget gate f", "candidate g", "output gate o", "cell c")


def gates(step, weights, indices, characters, unit=0):
    """Colour a sentence by what a gate does at each of its characters, and ask what the network expects next.

    Parameters
    ----------
    step : callable
        The learner's own ``lstm_step(x, h, c, W, U, b)``.
    weights : dict of str to ndarray
        ``E`` (K, E), ``W``, ``U``, ``b`` of the LSTM, ``V`` (K, H) and ``bz`` (K,) of the scores.
    indices : sequence of int, length S
        The sentence.
    characters : list of str
        The vocabulary.
    unit : int
        Which of the H units is shown first.
    """
    H = weights["U"].shape[1]
    read = {}

    def run(kept):
        """Every state while the sentence is read: gates (S, 5, H), scores (S, K)."""
        if kept not in read:
            h, c, shown, scores = np.zeros((1, H)), np.zeros((1, H)), [], []
            for k in indices:
                x = weights["E"][k][None]
                a = (x @ weights["W"].T + h @ weights["U"].T + weights["b"]).reshape(4, H)
                g = np.tanh(a[2])
                i, f, o = (0.5 * (1 + np.tanh(0.5 * a[j])) for j in (0, 1, 3))
                h, c = step(x, h, kept / 100 * c, weights["W"], weights["U"], weights["b"])
                shown.append(np.stack([i, kept / 100 * f, g, o, np.tanh(c[0])]))
                scores.append(h[0] @ weights["V"].T + weights["bz"])
            read.clear()  # one setting is kept: the sliders for unit and position need no new run
            read[kept] = np.array(shown), np.array(scores)
        return read[kept]

    def render(gate, unit, position, kept):
        shown, scores = run(kept)
        values = shown[:, GATES.index(gate), unit]
        text = ""
        for n, (k, value) in enumerate(zip(indices, values, strict=True)):
            colour = "0,114,178" if value >= 0 else "213,94,0"
            frame = "outline:2px solid currentColor;" if n == position else ""
            letter = html.escape(characters[k]).replace("\n", "⏎\n")
            text += f"<span style='background:rgba({colour},{0.75 * abs(value):.2f});{frame}'>{letter}</span>"
        z = scores - scores.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        price = -log_p[np.arange(len(indices) - 1), indices[1:]].mean() / np.log(2)
        bars = ""
        for k in np.argsort(-log_p[position])[:5]:
            p = np.exp(log_p[position, k])
            name = {" ": "space", "\n": "⏎"}.get(characters[k], characters[k])
            bar = f"<span style='display:inline-block;background:#0072B2;height:.9em;width:{12 * p:.2f}em'></span>"
            bars += f"<tr><td style='text-align:right'>{html.escape(name)}&nbsp;</td><td>{bar} {p:.2f}</td></tr>"
        return (
            f"<pre style='line-height:1.6;white-space:pre-wrap'>{text}</pre>"
            f"<div>{gate}, unit {unit}, at the framed character: <b>{values[position]:+.2f}</b> "
            "(blue: positive, orange: negative)</div>"
            f"<div>what comes next, as the network sees it:</div><table>{bars}</table>"
            f"<div>the whole sentence: <b>{price:.2f}</b> bits for each character</div>"
        )

    controls = {
        "gate": ipywidgets.Dropdown(
            options=GATES, value=GATES[4], description="show", style={"description_width": "7em"}
        ),
        "unit": slider("unit", 0, H - 1, unit),
        "position": slider("position", 0, len(indices) - 1, min(20, len(indices) - 1)),
        "kept": slider("memory kept (%)", 0, 100, 100, step=10),
    }
    return Explorer(render, controls)
