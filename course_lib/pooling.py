r"""Chapter 02: pooling, one number for each window, channel by channel.

The letters are those of chapter 01: ``N`` images of ``C`` channels, height ``H`` and width ``W``, output ``OH`` by
``OW``, stride ``S``, padding ``P``. The window is a square of side ``K`` (``size`` in the code). Every function here
lays out the windows and reduces each to one number; they differ in how.

Sources: T. Takenawa, *Deep Learning, Part 3*, section 1.5; V. Badrinarayanan, A. Kendall and R. Cipolla, *SegNet*
(2017), for unpooling; K. He et al., *Spatial Pyramid Pooling in Deep Convolutional Networks* (2014).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from course_lib.convolution import output_size, pad2d


def windows(x, size, stride=None, padding=0, value=0.0):
    """Every window of every channel, as a view: no pixel is copied except by the padding.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    size : int
        Side ``K`` of the window.
    stride, padding : int
        Step ``S`` (default: ``size``, windows side by side) and border ``P`` on each side, at most ``K // 2``.
    value : scalar
        What the border is filled with.

    Returns
    -------
    ndarray, shape (N, C, OH, OW, K, K), dtype of ``x``, read-only

    Raises
    ------
    ValueError
        If ``x`` does not have four axes, the window does not fit, or a window could lie in the border only.
    """
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}; pooling needs four axes (N, C, H, W), such as x[None, None]")
    stride = size if stride is None else stride
    for length in x.shape[2:]:
        output_size(length, size, stride, padding)  # raises a ValueError if the window does not fit
    if padding > size // 2:
        raise ValueError(
            f"padding {padding} is more than half of the window's side {size}: "
            f"a window could lie in the border only; use at most {size // 2}"
        )
    x = pad2d(x, padding, value) if padding else x
    return sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]


def lowest(dtype):
    """The border of max pooling: a value that no other is below, −∞ or the smallest integer of ``dtype``."""
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


def max_pool2d(x, size, stride=None, padding=0):
    r"""The largest number of each window.

    .. math:: y_{ncij} = \max_{0 \le p,q < K} \tilde{x}_{n,c,\,iS+p,\,jS+q}

    where :math:`\tilde{x}` is ``x`` with a border of :math:`-\infty`, which never is the largest.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    size : int
        Side ``K`` of the window.
    stride, padding : int
        Step ``S`` (default: ``size``) and border ``P <= K // 2``.

    Returns
    -------
    ndarray, shape (N, C, OH, OW), dtype of ``x``
        With ``OH = (H + 2P - K) // S + 1``.

    Raises
    ------
    ValueError
        As :func:`windows`.
    """
    return windows(x, size, stride, padding, lowest(x.dtype)).max(axis=(4, 5))


def avg_pool2d(x, size, stride=None, padding=0, count_padding=False):
    r"""The mean of each window.

    .. math:: y_{ncij} = \frac{1}{m_{ij}} \sum_{0 \le p,q < K} \tilde{x}_{n,c,\,iS+p,\,jS+q}

    where :math:`\tilde{x}` is ``x`` with a border of zeros and :math:`m_{ij}` is the number of pixels of the *image* in
    the window, or :math:`K^2` everywhere with ``count_padding``.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    size : int
        Side ``K`` of the window.
    stride, padding : int
        Step ``S`` (default: ``size``) and border ``P <= K // 2``.
    count_padding : bool
        Whether border pixels count in the divisor. Keras does not count them; PyTorch does unless it is called with
        ``count_include_pad=False``.

    Returns
    -------
    ndarray, shape (N, C, OH, OW), floating point

    Raises
    ------
    ValueError
        As :func:`windows`.
    """
    total = windows(x, size, stride, padding).sum(axis=(4, 5), dtype=np.result_type(x, np.float32))
    pixels = np.ones((1, 1, *x.shape[2:]), total.dtype)
    counted = windows(pixels, size, stride, padding, value=float(count_padding)).sum(axis=(4, 5))  # (1, 1, OH, OW)
    return total / counted


def global_avg_pool(x):
    """The mean of each channel: one number for a whole feature map.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)

    Returns
    -------
    ndarray, shape (N, C), floating point
    """
    return x.mean(axis=(2, 3), dtype=np.result_type(x, np.float32))


def max_pool2d_with_indices(x, size, stride=None, padding=0):
    """Max pooling that also says where each maximum stood.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Finite numbers (a pixel of −∞ cannot be told from the border).
    size, stride, padding : int
        As in :func:`max_pool2d`.

    Returns
    -------
    y : ndarray, shape (N, C, OH, OW), dtype of ``x``
    indices : ndarray of int, shape (N, C, OH, OW)
        ``row * W + column`` of the maximum in its image without border; of equal ones, the first in reading order.

    Raises
    ------
    ValueError
        As :func:`windows`.
    """
    stride = size if stride is None else stride
    view = windows(x, size, stride, padding, lowest(x.dtype))
    flat = view.reshape(*view.shape[:4], size * size)  # (N, C, OH, OW, K*K), a copy
    best = flat.argmax(axis=-1)  # (N, C, OH, OW), the first of equal ones
    y = np.take_along_axis(flat, best[..., None], axis=-1)[..., 0]
    p, q = np.divmod(best, size)
    OH, OW = best.shape[2:]
    row = np.arange(OH)[:, None] * stride + p - padding
    column = np.arange(OW) * stride + q - padding
    return y, row * x.shape[3] + column


def max_unpool2d(y, indices, shape):
    """Put each maximum back where it stood, and zero everywhere else.

    Where windows overlapped, several entries of ``y`` may be one pixel; it is put back once.

    Parameters
    ----------
    y : ndarray, shape (N, C, OH, OW)
    indices : ndarray of int, shape (N, C, OH, OW)
        From :func:`max_pool2d_with_indices`.
    shape : (int, int)
        ``(H, W)`` of the image before pooling.

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``y``

    Raises
    ------
    ValueError
        If the shapes of ``y`` and ``indices`` differ, or an index lies outside the image.
    """
    N, C = y.shape[:2]
    H, W = shape
    if indices.shape != y.shape:
        raise ValueError(f"y has shape {y.shape} but indices has {indices.shape}; there is one index for each maximum")
    if indices.size and not (0 <= indices.min() and indices.max() < H * W):
        raise ValueError(
            f"indices run from {indices.min()} to {indices.max()}, but an image of {H}×{W} has pixels 0 to {H * W - 1}"
        )
    x = np.zeros((N, C, H * W), y.dtype)
    np.put_along_axis(x, indices.reshape(N, C, -1), y.reshape(N, C, -1), axis=2)
    return x.reshape(N, C, H, W)


def bins(length, n):
    r"""Cut an axis into ``n`` bins: bin ``k`` is ``range(start, stop)`` with the ``k``-th pair returned.

    A bin starts at :math:`\lfloor kL/n \rfloor` and ends before :math:`\lceil (k+1)L/n \rceil`, so that every pixel
    lies in a bin and no bin is empty; where ``n`` does not divide the length, some neighbours share a pixel.
    """
    return [(k * length // n, -(-(k + 1) * length // n)) for k in range(n)]


def spatial_pyramid_pool(x, levels=(1, 2, 4)):
    """Max pooling into a fixed number of bins: the same length of result for every size of image.

    A level ``n`` cuts the image into ``n`` by ``n`` bins (:func:`bins`) and takes the largest number of each.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    levels : sequence of int
        Bins along each axis, level by level.

    Returns
    -------
    ndarray, shape (N, C * sum(n * n for n in levels)), dtype of ``x``
        Level by level; in a level, channel by channel; in a channel, the bins row by row.

    Raises
    ------
    ValueError
        If a level is below 1.
    """
    N, C, H, W = x.shape
    if min(levels) < 1:
        raise ValueError(f"levels are {tuple(levels)}; each level needs at least 1 bin along an axis")
    parts = []
    for n in levels:
        level = np.empty((N, C, n, n), x.dtype)
        for i, (top, bottom) in enumerate(bins(H, n)):
            for j, (left, right) in enumerate(bins(W, n)):
                level[:, :, i, j] = x[:, :, top:bottom, left:right].max(axis=(2, 3))
        parts.append(level.reshape(N, C * n * n))
    return np.concatenate(parts, axis=1)
