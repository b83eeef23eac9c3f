"""The few kinds of figure that the course uses, so that they look alike.

Maps are perceptually uniform and colour-blind-safe; numbers of both signs get a diverging map centred on zero. Every
function returns the matplotlib figure; in a notebook, end the cell with a semicolon to show it once.
"""

import matplotlib.pyplot as plt
import numpy as np

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
    ax.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        ax.legend()
    plt.close(figure)
    return figure
