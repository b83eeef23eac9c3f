"""Regions of interest: cut the same small grid out of a feature map for boxes of any size, and put masks back."""

import torch
from torch.nn import functional as F


def roi_pool(features, boxes, stride, size):
    """The maximum in each part of a ``size`` by ``size`` grid, with boxes rounded to whole cells (Fast R-CNN).

    Each edge of a box goes to the nearest edge of a cell; at least one cell is kept. Part ``i`` of ``n`` cells takes
    the cells from ``floor(i n / size)`` to ``ceil((i + 1) n / size)``.

    Parameters
    ----------
    features : Tensor, shape (C, H, W)
    boxes : Tensor, shape (N, 4)
        In pixels of the image, inside it.
    stride : int
        Pixels for each cell.
    size : int

    Returns
    -------
    Tensor, shape (N, C, size, size)
    """
    C, H, W = features.shape
    pooled = features.new_zeros(len(boxes), C, size, size)
    for n, (x1, y1, x2, y2) in enumerate((boxes / stride).round().int().tolist()):
        x1, y1 = min(x1, W - 1), min(y1, H - 1)
        part = features[:, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
        pooled[n] = F.adaptive_max_pool2d(part, size)
    return pooled


def roi_align(features, boxes, stride, size, samples=2):
    r"""The mean of bilinear samples in each part of a ``size`` by ``size`` grid; nothing is rounded (Mask R-CNN).

    With ``K = size * samples``, the positions along x are

    .. math:: x_k = x_1 + \frac{k + \frac12}{K} (x_2 - x_1), \qquad k = 0 \dots K - 1,

    in pixels. The centre of cell ``j`` is at :math:`(j + \frac12) S`: a position is in cell :math:`x_k / S - \frac12`.
    Beyond the outermost centres the map goes on with its outermost values.

    Parameters
    ----------
    features : Tensor, shape (..., C, H, W)
        One map, or a batch of maps with as many boxes for each.
    boxes : Tensor, shape (..., N, 4)
        In pixels of the image.
    stride : int
        Pixels for each cell, ``S``.
    size : int
    samples : int
        Along each side of a part.

    Returns
    -------
    Tensor, shape (..., N, C, size, size)
    """
    (H, W), (x1, y1, x2, y2) = features.shape[-2:], boxes.to(features.dtype).unbind(-1)
    A_y = bilinear_weights(y1, y2, H, stride, size, samples)  # (..., N, size, H)
    A_x = bilinear_weights(x1, x2, W, stride, size, samples)  # (..., N, size, W)
    rows = A_y.flatten(-3, -2) @ features.movedim(-3, -1).flatten(-2)  # (..., N * size, W * C)
    parts = A_x[..., None, :, :] @ rows.unflatten(-1, (W, -1)).unflatten(-3, (-1, size))  # (..., N, size, size, C)
    return parts.movedim(-1, -3)


def bilinear_weights(start, end, cells, stride, size, samples=2):
    r"""How much each cell along one side of a map counts in each part: RoIAlign of a box is then A_y F A_xᵀ.

    Of a sample in cell :math:`x`, a fraction, cell :math:`i` gets the share :math:`\max(0, 1 - |x - i|)`: bilinear
    interpolation. Two matrix products do the work, and their gradients too, on all cores.

    Parameters
    ----------
    start, end : Tensor, shape (..., N)
        Of each box along this side, in pixels of the image.
    cells : int
        Of the map along this side.
    stride, size, samples : int
        As in :func:`roi_align`.

    Returns
    -------
    Tensor, shape (..., N, size, cells)
        Each row sums to 1.
    """
    K = size * samples
    steps = (torch.arange(K, dtype=start.dtype) + 0.5) / K  # (K,)
    x = start[..., None] + steps * (end - start)[..., None]  # (..., N, K)
    x = (x / stride - 0.5).clamp(0, cells - 1)
    share = (1 - (x[..., None] - torch.arange(cells, dtype=x.dtype)).abs()).clamp(min=0)  # (..., N, K, cells)
    return share.unflatten(-2, (size, samples)).mean(dim=-2)


def paste_masks(masks, boxes, height, width):
    r"""Stretch each small mask over its box in an image of zeros.

    The pixel in column ``j`` has its centre at :math:`j + \frac12`, a share :math:`u = (j + \frac12 - x_1) /
    (x_2 - x_1)` of the box's width, and takes the mask's value there, between the centres of its cells by bilinear
    interpolation, 0 outside the mask.

    Parameters
    ----------
    masks : Tensor, shape (N, m, m)
        Between 0 and 1.
    boxes : Tensor, shape (N, 4)
        In pixels.
    height, width : int
        Of the image.

    Returns
    -------
    Tensor, shape (N, height, width)
        Between 0 and 1. The instance is where it is at least a half.
    """
    x1, y1, x2, y2 = boxes.to(masks.dtype).T[..., None]  # (N, 1) each
    u = (torch.arange(width, dtype=masks.dtype) + 0.5 - x1) / (x2 - x1).clamp(min=1e-6)  # (N, width)
    v = (torch.arange(height, dtype=masks.dtype) + 0.5 - y1) / (y2 - y1).clamp(min=1e-6)  # (N, height)
    shape = (len(masks), height, width)
    grid = 2 * torch.stack([u[:, None].expand(shape), v[:, :, None].expand(shape)], dim=3) - 1
    if len(masks) == 0:
        return masks.new_zeros(shape)
    return F.grid_sample(masks[:, None], grid, padding_mode="zeros", align_corners=False)[:, 0]
