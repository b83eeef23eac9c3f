"""Chapter 12: where each symbol of a translation looks."""

import html

import ipywidgets
import numpy as np

from course_lib.explore.controls import Explorer, slider

_STYLE = (
    "<style>.att td{padding:0 .28em;text-align:center;font-family:monospace;line-height:1.5}"
    ".att .say{opacity:0;text-align:left;padding-left:1em;white-space:nowrap}"
    ".att tr:hover .say,.att tr:focus .say{opacity:1}.att tr:hover td,.att tr:focus td{border-bottom:2px solid #D55E00}"
    ".att td[title]:hover{outline:2px solid #D55E00}</style>"
)


def attention_map(look, texts):
    """A translation with the weights of its attention; hover over a row (or reach it with Tab) to read them.

    Parameters
    ----------
    look : callable
        ``look(text)`` gives the translation and weights (layers, heads, T, S), as
        :func:`course_lib.attention.training.look`.
    texts : sequence of str
    """
    layers, heads = look(texts[0])[1].shape[:2]

    def render(text, layer, head):
        written, weights = look(text)
        return table(text, written, weights[layer - 1].mean(0) if head == 0 else weights[layer - 1, head - 1])

    controls = {
        "text": ipywidgets.Dropdown(options=list(texts), description="text", style={"description_width": "7em"}),
        "layer": slider("layer", 1, layers, layers),
        "head": slider("head (0: mean)", 0, heads, 0),
    }
    return Explorer(render, controls)


def table(source, target, weights):
    """Attention weights as HTML that needs no kernel and no script: a row for each symbol of the target.

    Parameters
    ----------
    source, target : str
    weights : ndarray, shape (T, S)
    """
    header = "".join(f"<td>{_shown(c)}</td>" for c in source)
    rows = ""
    for symbol, row in zip(target, weights, strict=False):
        cells = "".join(
            f"<td title='{_shown(symbol)} looks at {_shown(c)}: {w:.2f}' style='background:rgba(0,114,178,{w:.2f})'>"
            f"{'•' if w >= 0.5 else '&nbsp;'}</td>"
            for c, w in zip(source, row, strict=False)
        )
        best = [k for k in np.argsort(-row)[:3] if k < len(source) and row[k] >= 0.05]
        said = ", ".join(f"{_shown(source[k])} {row[k]:.2f}" for k in best)
        rows += f"<tr tabindex='0'><td><b>{_shown(symbol)}</b></td>{cells}<td class='say'>looks at {said}</td></tr>"
    return f"{_STYLE}<table class='att'><tr><td></td>{header}</tr>{rows}</table>"


def _shown(symbol):
    return "␣" if symbol == " " else html.escape(symbol, quote=True)
