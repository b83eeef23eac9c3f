"""Anchors: boxes laid over the image in advance, which of them an object belongs to, and how the network is told."""

import torch
from torch.nn import functional as F

BACKGROUND, IGNORED = -1, -2


def make_anchors(height, width, stride, sizes, ratios):
    r"""A few boxes around the centre of each cell of a feature map.

    Cell ``(i, j)`` has its centre at :math:`\left((j + \tfrac12) S,\, (i + \tfrac12) S\right)`; an anchor of size
    :math:`s` and ratio :math:`r = w : h` has :math:`w = s\sqrt r` and :math:`h = s / \sqrt r`, hence the area
    :math:`s^2` whatever the ratio.

    Parameters
    ----------
    height, width : int
        Of the feature map.
    stride : int
        Pixels of the image for each cell, ``S``.
    sizes, ratios : sequence of float

    Returns
    -------
    Tensor, shape (height * width * A, 4)
        With ``A = len(sizes) * len(ratios)``. Cell after cell, row by row; in a cell size after size, and for each
        size ratio after ratio.
    """
    s, r = torch.tensor(sizes, dtype=torch.float32)[:, None], torch.tensor(ratios, dtype=torch.float32)[None]
    w, h = (s * r.sqrt()).flatten(), (s / r.sqrt()).flatten()  # (A,)
    around = torch.stack([-w, -h, w, h], dim=1) / 2  # (A, 4)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = (torch.stack([x, y, x, y], dim=2) + 0.5) * stride  # (height, width, 4)
    return (centres[:, :, None] + around).reshape(-1, 4)


def match_anchors(iou, low=0.3, high=0.7):
    """Which object each anchor is to find.

    Parameters
    ----------
    iou : Tensor, shape (N, M)
        Of N anchors with the M objects of the image; M may be 0.
    low, high : float
        Below ``low`` an anchor is background, from ``high`` on it belongs to the object it overlaps most, in between
        it is ignored. Whatever the thresholds, the best anchor of each object belongs to it, if they overlap at all.

    Returns
    -------
    Tensor of int64, shape (N,)
        The object's index, or -1 for background, or -2 for ignored.
    """
    N, M = iou.shape
    if M == 0:
        return torch.full((N,), BACKGROUND)
    most, match = iou.max(dim=1)  # (N,)
    match = torch.where(most >= high, match, torch.where(most < low, BACKGROUND, IGNORED))
    highest, best = iou.max(dim=0)  # (M,)
    found = torch.nonzero(highest > 0).flatten()
    match[best[found]] = found
    return match


def sample_anchors(match, number, generator):
    """Ignore all but ``number`` anchors, at most half of them positive: an image is nearly all background.

    Parameters
    ----------
    match : Tensor of int64, shape (N,)
        See :func:`match_anchors`.
    number : int
    generator : torch.Generator

    Returns
    -------
    Tensor of int64, shape (N,)
    """
    shuffled = torch.randperm(len(match), generator=generator)
    positive = shuffled[match[shuffled] >= 0][: number // 2]
    negative = shuffled[match[shuffled] == BACKGROUND][: number - len(positive)]
    sampled = torch.full_like(match, IGNORED)
    sampled[positive], sampled[negative] = match[positive], BACKGROUND
    return sampled


def rpn_loss(logits, offsets, match, targets):
    r"""The two losses of the region proposal network: is there an object, and where exactly.

    .. math:: E = \frac{1}{|C|}\Big(\sum_{n \in C} BCE(l_n, [n \in P]) + \sum_{n \in P} \sum_{k=1}^{4}
              smooth(o_{nk} - t_{nk})\Big),
              \qquad smooth(d) = \begin{cases} d^2 / 2 & |d| < 1 \\ |d| - \tfrac12 & \text{otherwise} \end{cases}

    where :math:`C` are the anchors that count (not ignored) and :math:`P` those that belong to an object.

    Parameters
    ----------
    logits : Tensor, shape (N,)
        The score of "object" before the sigmoid.
    offsets : Tensor, shape (N, 4)
        What the network predicts.
    match : Tensor of int64, shape (N,)
        See :func:`match_anchors`: >= 0 object, -1 background, -2 ignored.
    targets : Tensor, shape (N, 4)
        The right offsets; anything where no object belongs to the anchor, even NaN.

    Returns
    -------
    Tensor, a single number
    """
    counted, positive = match != IGNORED, match >= 0
    objectness = F.binary_cross_entropy_with_logits(
        logits[counted], positive[counted].to(logits.dtype), reduction="sum"
    )
    location = F.smooth_l1_loss(offsets[positive], targets[positive], reduction="sum")
    return (objectness + location) / counted.sum().clamp(min=1)
