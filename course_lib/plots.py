"""The few kinds of figure that the course uses, so that they look alike.

Maps are perceptually uniform and colour-blind-safe; numbers of both signs get a diverging map centred on zero. Every
function returns the matplotlib figure; in a notebook, end the cell with a semicolon to show it once.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

SIGNED, UNSIGNED, GREY = "RdBu", "cividis", "gray"  # RdBu: blue is positive, as in course_lib.tables
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # Okabe and Ito


def images(pictures, titles=(), columns=None, width=2.6, signed=False):
    """A grid of images.

    Parameters
    ----------
    pictures : sequence of ndarray, shape (H, W) or (H, W, 3)
        Grey images may have any range; colour images are 0..1 or uint8.
    titles : sequence of str
        One above each image.
    columns : int, optional
        Default: all in one row.
    width : float
        Inches for each image.
    signed : bool
        Centre the colours on zero.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    tallest = max(p.shape[0] / p.shape[1] for p in pictures)
    size = (width * columns, (width * tallest + 0.35) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for k, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        if signed:
            limit = np.abs(picture).max() or 1
            ax.imshow(picture, cmap=SIGNED, vmin=-limit, vmax=limit)
        else:
            ax.imshow(picture, cmap=GREY)
        if k < len(titles):
            ax.set_title(titles[k], fontsize=11)
    plt.close(figure)  # the figure is shown where it is returned, not a second time by pyplot
    return figure


def overlay(image, labels, alpha=0.45):
    """A grey image with the classes of its pixels laid over it in colour.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        uint8, or 0..1.
    labels : ndarray of int, shape (H, W)
        0 is left as it is; 1, 2, 3, 4 are blue, orange, green, purple.
    alpha : float
        How much of the colour is seen, 0..1.

    Returns
    -------
    ndarray, shape (H, W, 3), from 0 to 1
    """
    grey = np.asarray(image, dtype=float) / (255 if np.asarray(image).dtype == np.uint8 else 1)
    rgb = np.repeat(np.clip(grey, 0, 1)[..., None], 3, axis=-1)
    for k, name in enumerate((BLUE, ORANGE, GREEN, PURPLE), start=1):
        colour = np.array([int(name[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        rgb[labels == k] = (1 - alpha) * rgb[labels == k] + alpha * colour
    return rgb


def matrix(a, title="", rows="", columns="", width=4.5):
    """A matrix as a picture, zero in white, with a scale beside it.

    Parameters
    ----------
    a : ndarray, shape (m, n)
    title, rows, columns : str
        The title and the names of the two axes.
    width : float
        Inches.
    """
    figure, ax = plt.subplots(figsize=(width, width * min(1.2, a.shape[0] / a.shape[1]) + 0.6), layout="constrained")
    limit = np.abs(a).max() or 1
    picture = ax.imshow(a, cmap=SIGNED, vmin=-limit, vmax=limit)
    figure.colorbar(picture, ax=ax, shrink=0.8)
    ax.set(title=title, xlabel=columns, ylabel=rows)
    plt.close(figure)
    return figure


def bars(values, xlabel, title="", mark=None, log=False):
    """Horizontal bars with their numbers, for comparisons of a few things.

    Parameters
    ----------
    values : dict of str to float
    xlabel : str
        What is measured, with its unit.
    mark : (float, str), optional
        A vertical line to compare with, and its name.
    log : bool
        A logarithmic axis.
    """
    figure, ax = plt.subplots(figsize=(8, 0.45 * len(values) + 1.2), layout="constrained")
    drawn = ax.barh(list(values), list(values.values()), color=BLUE, log=log)
    ax.bar_label(drawn, fmt="%.3g", padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    if mark is not None:
        ax.axvline(mark[0], color=ORANGE, linestyle="--", label=mark[1])
        ax.legend(loc="lower right")
    ax.set(xlabel=xlabel, title=title)
    ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure


def lines(series, xlabel, ylabel, title="", x=None, size=(7, 3.2), log=""):
    """Curves over a common axis, each with its name, colour and line style.

    Parameters
    ----------
    series : dict of str to sequence of float
    x : sequence of float, optional
        Default: 0, 1, 2, ... A shorter series ends earlier.
    log : str
        The logarithmic axes: ``"x"``, ``"y"`` or ``"xy"``.
    """
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    for (name, values), colour, style in zip(
        series.items(), (BLUE, ORANGE, GREEN, PURPLE, "black"), ("-", "--", "-.", ":", "-"), strict=False
    ):
        along = range(len(values)) if x is None else x[: len(values)]
        marker = "." if len(values) <= 40 else None
        ax.plot(along, values, color=colour, linestyle=style, marker=marker, label=name)
    for axis in log:
        getattr(ax, f"set_{axis}scale")("log")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if x is None or all(float(value).is_integer() for value in x):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 2.5
    ax.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        ax.legend()
    plt.close(figure)
    return figure


def counts(table, names, rows, columns, title=""):
    """A square table of counts such as a confusion matrix: numbers in the cells, zeros left empty.

    The diagonal is what is right and is framed; colours show only what is off it.

    Parameters
    ----------
    table : ndarray of int, shape (K, K)
    names : sequence of str
        Of the K classes.
    rows, columns : str
        What the two axes are.
    """
    off = np.where(np.eye(len(table), dtype=bool), 0, table)
    figure, ax = plt.subplots(figsize=(0.48 * len(table) + 1.2, 0.44 * len(table) + 1.2), layout="constrained")
    ax.imshow(off, cmap="Oranges", vmin=0, vmax=max(3, 2 * off.max()))
    for i, j in np.argwhere(table):
        ax.text(j, i, table[i, j], ha="center", va="center", color="black")
        if i == j:
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=BLUE))
    long = max(len(str(name)) for name in names) > 5  # such names stand slanting, or they would collide
    ax.set_xticks(range(len(names)), names, **({"rotation": 45, "ha": "right"} if long else {}))
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=columns, ylabel=rows, title=title)
    plt.close(figure)
    return figure


class Live:
    """Curves that are drawn again while they grow.

    Parameters
    ----------
    panels : dict of str to sequence of str
        For each panel its y-axis label and the names of the series in it.
    xlabel : str
    every : float
        Seconds between two drawings, so that drawing does not slow down what is drawn.
    """

    def __init__(self, panels, xlabel, every=1.0):
        self.panels, self.xlabel, self.every = panels, xlabel, every
        self._handle, self._drawn = None, 0.0

    def update(self, series):
        """Draw ``series``, a dict of lists, unless the last drawing is too recent."""
        if self._handle is None or time.monotonic() - self._drawn >= self.every:
            self.finish(series)

    def finish(self, series):
        """Draw in any case; the last picture stays on the page."""
        from IPython.display import display

        figure = self.draw(series)
        if self._handle is None:
            self._handle = display(figure, display_id=True)
        else:
            self._handle.update(figure)
        self._drawn = time.monotonic()

    def draw(self, series):
        """The figure: one panel beside the other over a common axis."""
        figure, axes = plt.subplots(1, len(self.panels), figsize=(4.6 * len(self.panels), 2.8), layout="constrained")
        for ax, (label, names) in zip(np.atleast_1d(axes), self.panels.items(), strict=True):
            for name, colour, style in zip(names, (BLUE, ORANGE, GREEN, PURPLE), ("-", "--", "-.", ":"), strict=False):
                values = series.get(name, ())
                ax.plot(range(1, len(values) + 1), values, style, color=colour, label=name)
            ax.set(xlabel=self.xlabel, ylabel=label)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.spines[["top", "right"]].set_visible(False)
            if len(names) > 1:
                ax.legend()
        plt.close(figure)
        return figure


def roofline(peak, bandwidth, points, title="", size=(9, 4)):
    """What a machine can attain against arithmetic intensity, and what programs reach.

    Parameters
    ----------
    peak, bandwidth : float
        FLOP/s and bytes/s.
    points : dict of str to (float, float)
        Intensity in FLOP a byte, and the FLOP/s reached.
    """
    ridge = peak / bandwidth
    left = min([ridge / 8, *(x / 2 for x, _ in points.values())])
    right = max([ridge * 8, *(2 * x for x, _ in points.values())])
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    ax.loglog([left, ridge, right], [left * bandwidth / 1e9, peak / 1e9, peak / 1e9], color=BLUE, linewidth=2)
    ax.axvline(ridge, color="gray", linestyle=":", linewidth=1)
    ax.annotate(f"ridge: {ridge:.3g}", (ridge, peak / 1e9), (4, 4), textcoords="offset points")
    for (name, (x, y)), marker in zip(points.items(), "osD^vP*X", strict=False):
        ax.plot(x, y / 1e9, marker, color=ORANGE, markersize=8, markeredgecolor="black", label=name)
    ax.set(xlabel="arithmetic intensity (FLOP a byte)", ylabel="GFLOP/s", title=title)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center")
    plt.close(figure)
    return figure
