"""Arrays as HTML that reads in a light and a dark notebook: small matrices as tables, larger ones as pictures.

Positive numbers are blue and negative ones orange (Okabe and Ito's colour-blind-safe palette), deeper the larger they
are; marked entries carry a frame as well, so that nothing is said by colour alone.
"""

import base64
import html
import io

import numpy as np

POSITIVE, NEGATIVE = (0, 114, 178), (213, 94, 0)
LARGEST_TABLE = 16  # rows and columns that are still shown as numbers
_CELL = "border:1px solid rgba(128,128,128,.45);padding:2px 6px;text-align:center;min-width:1.6em;"


def number(value):
    """A number in the few characters that a table cell has room for."""
    value = np.asarray(value)[()]
    if isinstance(value, (np.bool_, np.integer)):
        return str(value)
    if np.iscomplexobj(value):
        return f"{value:.3g}"
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "∞" if value > 0 else "−∞"
    if value == round(value) and abs(value) < 1e5:
        return str(int(value))
    return f"{value:.3g}"


def matrix(a, caption="", marked=None, scale=None, width=320):
    """One array as a figure with a caption.

    Parameters
    ----------
    a : array of at most two dimensions
        Anything larger than 16×16 becomes a picture.
    caption : str
        Plain text; it is escaped.
    marked : boolean array of the same shape, optional
        Entries to frame.
    scale : float, optional
        The absolute value that gets the deepest colour (default: the largest in ``a``). Give the same to figures that
        are to be compared.
    width : int
        Of a picture, in pixels, at most.

    Returns
    -------
    str
        HTML.
    """
    a = np.asarray(a)
    grid = a.reshape(1, -1) if a.ndim < 2 else a
    if a.dtype.kind == "c":
        grid = np.abs(grid)
    if scale is None:
        finite = np.abs(grid[np.isfinite(grid)], dtype=float) if grid.size else np.zeros(0)
        scale = float(finite.max()) if finite.size else 0.0
    mark = np.zeros(grid.shape, bool) if marked is None else np.asarray(marked).reshape(grid.shape)
    small = max(grid.shape, default=0) <= LARGEST_TABLE
    body = _table(grid, mark, scale) if small else _picture(grid, mark, scale, width)
    return (
        '<figure style="display:inline-block;margin:.3em 1.2em .3em 0;vertical-align:top">'
        f'<figcaption style="font-size:85%;opacity:.85;max-width:{width}px">{html.escape(caption)}</figcaption>'
        f"{body}</figure>"
    )


def row(figures):
    """Figures beside each other, wrapping where the page is narrow."""
    return f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start">{"".join(figures)}</div>'


def listing(header, lines, total=True):
    """A table of text with a header; all columns but the first are aligned right.

    Parameters
    ----------
    header : sequence of str
    lines : sequence of sequence of str
    total : bool
        Whether the last line sums up the others and is set apart.

    Returns
    -------
    str
        HTML.
    """

    def line(cells, tag, style=""):
        aligned = ("left", *["right"] * (len(cells) - 1))
        return "<tr>" + "".join(
            f'<{tag} style="text-align:{side};padding:1px 10px;{style}">{html.escape(text)}</{tag}>'
            for text, side in zip(cells, aligned, strict=True)
        ) + "</tr>"  # fmt: skip

    body = "".join(line(cells, "td") for cells in (lines[:-1] if total else lines))
    last = line(lines[-1], "td", "border-top:1px solid currentColor;font-weight:bold") if total else ""
    return (
        '<table style="border-collapse:collapse;margin:.2em 0;font-variant-numeric:tabular-nums">'
        f"{line(header, 'th')}{body}{last}</table>"
    )


def _table(grid, mark, scale):
    rows = []
    for values, marks in zip(grid, mark, strict=True):
        cells = []
        for value, framed in zip(values, marks, strict=True):
            frame = "outline:2.5px solid currentColor;outline-offset:-2px;font-weight:bold;" if framed else ""
            cells.append(f'<td style="{_CELL}{_shade(value, scale)}{frame}">{number(value)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<table style="border-collapse:collapse;margin:.2em 0;font-variant-numeric:tabular-nums">'
        f"{''.join(rows)}</table>"
    )


def _shade(value, scale):
    if scale <= 0 or not np.isfinite(value) or value == 0:
        return ""
    r, g, b = POSITIVE if value > 0 else NEGATIVE
    return f"background:rgba({r},{g},{b},{0.05 + 0.5 * min(1.0, abs(float(value)) / scale):.2f});"


def _picture(grid, mark, scale, largest):
    from PIL import Image

    values = np.nan_to_num(np.asarray(grid, dtype=float), nan=0.0, posinf=scale, neginf=-scale)
    step = max(1, int(np.ceil(max(values.shape) / 512)))  # a picture larger than the page is sampled
    values, mark = values[::step, ::step], mark[::step, ::step]
    if (values >= 0).all():  # an image: grey
        rgb = np.repeat((255 * np.clip(values / (scale or 1), 0, 1))[..., None], 3, axis=2)
    else:
        share = np.clip(np.abs(values) / (scale or 1), 0, 1)[..., None]
        colour = np.where(values[..., None] > 0, np.array(POSITIVE), np.array(NEGATIVE))
        rgb = 255 * (1 - share) + colour * share
    if mark.any() and not mark.all():
        rgb[mark] = 0.25 * rgb[mark] + 0.75 * np.array(NEGATIVE)
    stream = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    width = min(largest, max(120, 12 * values.shape[1]))
    shape = "×".join(map(str, grid.shape))
    style = f"width:{width}px;image-rendering:pixelated"
    return f'<img alt="array of shape {shape}" src="data:image/png;base64,{data}" style="{style}">'
