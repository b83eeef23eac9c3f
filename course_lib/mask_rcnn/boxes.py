r"""Boxes: how much two overlap, how one is written as a small change of another, and which of many are kept.

A box is ``(x1, y1, x2, y2)`` in pixels, on the continuous axes on which pixel ``j`` reaches from ``j`` to ``j + 1``. So
the width is ``x2 - x1``, without a ``+ 1``.
"""

import numpy as np
import torch

VARIANCES = (0.1, 0.1, 0.2, 0.2)  # what offsets are divided by, so that their spread is about 1
LARGEST_LOG = 4.0  # a predicted box is at most e^4 = 55 times as wide as the one that it started from


def box_area(boxes):
    """The area of each box, shape (..., 4) -> (...). A box with ``x2 <= x1`` or ``y2 <= y1`` has none."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def box_iou(a, b):
    r"""Intersection over union of each pair.

    .. math:: IoU_{nm} = \frac{|a_n \cap b_m|}{|a_n| + |b_m| - |a_n \cap b_m|}

    Parameters
    ----------
    a : Tensor, shape (N, 4)
    b : Tensor, shape (M, 4)

    Returns
    -------
    Tensor, shape (N, M)
        Between 0 and 1; 0 where both areas are 0.
    """
    corner1 = torch.maximum(a[:, None, :2], b[None, :, :2])  # (N, M, 2)
    corner2 = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = (corner2 - corner1).clamp(min=0).prod(dim=2)  # (N, M)
    union = box_area(a)[:, None] + box_area(b)[None] - intersection
    return torch.where(union > 0, intersection / union, 0)


def encode_boxes(boxes, anchors):
    r"""Boxes as changes of anchors.

    .. math:: t = \left(\frac{x - x_a}{0.1\,w_a},\; \frac{y - y_a}{0.1\,h_a},\;
              \frac{\log(w / w_a)}{0.2},\; \frac{\log(h / h_a)}{0.2}\right)

    where :math:`(x, y)` is the centre and :math:`w, h` are the sides; the divisors are :data:`VARIANCES`.

    Parameters
    ----------
    boxes, anchors : Tensor, shape (N, 4)

    Returns
    -------
    Tensor, shape (N, 4)
    """
    centre, size = _centre_and_size(boxes)
    centre_a, size_a = _centre_and_size(anchors)
    t = torch.cat([(centre - centre_a) / size_a, torch.log(size / size_a)], dim=1)
    return t / t.new_tensor(VARIANCES)


def decode_boxes(offsets, anchors):
    """The boxes that the offsets say, the inverse of :func:`encode_boxes`.

    Parameters
    ----------
    offsets, anchors : Tensor, shape (N, 4)

    Returns
    -------
    Tensor, shape (N, 4)
        Logarithms above 4 count as 4, so that no width overflows.
    """
    centre_a, size_a = _centre_and_size(anchors)
    t = offsets * offsets.new_tensor(VARIANCES)
    centre = centre_a + t[:, :2] * size_a
    size = size_a * torch.exp(t[:, 2:].clamp(max=LARGEST_LOG))
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)


def _centre_and_size(boxes):
    """Two tensors of shape (N, 2), each x first."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def clip_boxes(boxes, height, width):
    """Boxes (N, 4) cut at the border of the image."""
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))


def nms(boxes, scores, classes, threshold=0.5):
    """Non-maximum suppression: of boxes that say the same, keep the one with the highest score.

    A box is dropped if a *kept* box of the same class and a higher score (or the same score and an earlier place)
    overlaps it with an IoU above the threshold.

    Parameters
    ----------
    boxes : Tensor, shape (N, 4)
    scores : Tensor, shape (N,)
    classes : Tensor of int, shape (N,)
    threshold : float

    Returns
    -------
    Tensor of int64, shape (K,)
        Indices of those kept, the highest score first.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    same = classes[order, None] == classes[None, order]
    rivals = ((box_iou(boxes[order], boxes[order]) > threshold) & same).numpy()  # (N, N): a loop is faster on arrays
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~rivals[i, i + 1 :]
    return order[torch.from_numpy(alive)]
