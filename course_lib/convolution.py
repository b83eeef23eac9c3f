r"""Chapter 01: convolution, from one patch of one image to a batch of images and a bank of filters.

The letters are those of the notebook: an input ``x`` of height ``H`` and width ``W``, a filter ``f`` of height
``FH`` and width ``FW``, stride ``S``, padding ``P``, an output ``y`` of height ``OH`` and width ``OW``; ``N`` images
in a batch, ``C`` input channels, ``OC`` output channels.

Source: T. Takenawa, *Deep Learning, Part 3*, sections 1.1-1.4. What the field calls convolution, and this module
too, is cross-correlation: the filter is not flipped.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def output_size(size, filter_size, stride=1, padding=0):
    r"""Number of positions that a filter takes along one axis.

    .. math:: O = \left\lfloor \frac{H + 2P - FH}{S} \right\rfloor + 1

    Parameters
    ----------
    size, filter_size : int
        Length of the input (``H``) and of the filter (``FH``) along the axis, in pixels.
    stride, padding : int
        Step ``S >= 1`` and entries ``P >= 0`` added at *each* end.

    Returns
    -------
    int
        The number of positions, at least 1.

    Raises
    ------
    ValueError
        If the stride is below 1, the padding negative, or the filter longer than the padded input.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}; the filter must move by at least 1")
    if padding < 0:
        raise ValueError(f"padding is {padding}; it cannot be negative")
    room = size + 2 * padding - filter_size
    if filter_size < 1 or room < 0:
        raise ValueError(
            f"a filter of length {filter_size} does not fit an input of length {size} with padding {padding}"
        )
    return room // stride + 1


def pad2d(x, padding, value=0.0):
    """Put a border around the last two axes.

    Parameters
    ----------
    x : ndarray, shape (..., H, W)
    padding : int
        Rows and columns ``P`` added on each of the four sides.
    value : scalar
        What the border is filled with.

    Returns
    -------
    ndarray, shape (..., H + 2P, W + 2P), dtype of ``x``
    """
    *rest, H, W = x.shape
    padded = np.full((*rest, H + 2 * padding, W + 2 * padding), value, dtype=x.dtype)
    padded[..., padding : padding + H, padding : padding + W] = x
    return padded


def conv2d(x, f, bias=0.0, stride=1, padding=0):
    r"""Slide one filter over one image and take the inner product at each position.

    .. math:: y_{ij} = b + \sum_{p=0}^{FH-1} \sum_{q=0}^{FW-1} \tilde{x}_{\,iS+p,\;jS+q}\; f_{pq}

    where :math:`\tilde{x}` is ``x`` with a border of ``P`` zeros.

    Parameters
    ----------
    x : ndarray, shape (H, W)
    f : ndarray, shape (FH, FW)
    bias : float
        ``b``, added to every output.
    stride, padding : int
        ``S`` and ``P``, in pixels, the same for both axes.

    Returns
    -------
    ndarray, shape (OH, OW), floating point

    Raises
    ------
    ValueError
        If the filter does not fit into the padded image.
    """
    FH, FW = f.shape
    OH = output_size(x.shape[0], FH, stride, padding)
    OW = output_size(x.shape[1], FW, stride, padding)
    x = pad2d(x, padding)
    y = np.full((OH, OW), bias, dtype=np.result_type(x, f, np.float32))
    for p in range(FH):  # a loop over the few filter taps, not over the many positions
        for q in range(FW):
            y += x[p : p + OH * stride : stride, q : q + OW * stride : stride] * f[p, q]
    return y


def im2col(x, filter_shape, stride=1, padding=0):
    """Lay every patch that a filter sees into a column.

    Column ``i * OW + j`` of an image is the patch at output position ``(i, j)``, read channel by channel, row by row.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    filter_shape : (int, int)
        ``(FH, FW)``.
    stride, padding : int

    Returns
    -------
    ndarray, shape (N, C * FH * FW, OH * OW), dtype of ``x``
    """
    N, C, H, W = x.shape
    FH, FW = filter_shape
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    x = pad2d(x, padding) if padding else x
    columns = np.empty((N, C, FH, FW, OH, OW), dtype=x.dtype)
    for p in range(FH):
        for q in range(FW):
            columns[:, :, p, q] = x[:, :, p : p + OH * stride : stride, q : q + OW * stride : stride]
    return columns.reshape(N, C * FH * FW, OH * OW)


def im2col_by_position(x, filter_shape, stride=1, padding=0):
    """The same columns as :func:`im2col`, one output position at a time: the textbook's first version."""
    N, C, H, W = x.shape
    FH, FW = filter_shape
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    x = pad2d(x, padding)
    columns = np.empty((N, C * FH * FW, OH * OW), dtype=x.dtype)
    for i in range(OH):
        for j in range(OW):
            patch = x[:, :, i * stride : i * stride + FH, j * stride : j * stride + FW]  # (N, C, FH, FW)
            columns[:, :, i * OW + j] = patch.reshape(N, C * FH * FW)
    return columns


def im2col_by_windows(x, filter_shape, stride=1, padding=0):
    """The same columns as :func:`im2col` from a strided view, which holds each pixel once until it is copied."""
    x = pad2d(x, padding)
    windows = sliding_window_view(x, filter_shape, axis=(2, 3))[:, :, ::stride, ::stride]
    N, C, OH, OW, FH, FW = windows.shape
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * FH * FW, OH * OW)


def conv2d_nchw(x, weight, bias=None, stride=1, padding=0):
    r"""Cross-correlate a batch of images with a bank of filters: one matrix product per image.

    .. math:: y_{n,o,i,j} = b_o + \sum_{c,p,q} \tilde{x}_{n,c,\,iS+p,\,jS+q}\; w_{o,c,p,q}

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (OC, C, FH, FW)
    bias : ndarray, shape (OC,), optional
    stride, padding : int

    Returns
    -------
    ndarray, shape (N, OC, OH, OW)

    Raises
    ------
    ValueError
        If the channels of ``x`` and ``weight`` differ, or a filter does not fit into the padded image.
    """
    N, C, H, W = x.shape
    OC, weight_C, FH, FW = weight.shape
    if C != weight_C:
        raise ValueError(f"the images have {C} channels but the filters expect {weight_C}")
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    columns = im2col(x, (FH, FW), stride, padding)  # (N, C*FH*FW, OH*OW)
    y = weight.reshape(OC, -1) @ columns  # (N, OC, OH*OW)
    if bias is not None:
        y += bias[:, None]
    return y.reshape(N, OC, OH, OW)


def conv_matrix(f, H, W):
    """The matrix ``M`` with ``(M @ x.ravel()).reshape(OH, OW) == conv2d(x, f)`` for every ``(H, W)`` image ``x``.

    Row ``i * OW + j`` holds the filter at the pixels that output ``(i, j)`` sees, and zeros elsewhere.
    ``M.T`` is the transposed convolution (chapter 08).

    Parameters
    ----------
    f : ndarray, shape (FH, FW)
    H, W : int
        Height and width of the images.

    Returns
    -------
    ndarray, shape (OH * OW, H * W), dtype of ``f``
    """
    FH, FW = f.shape
    OH, OW = output_size(H, FH), output_size(W, FW)
    M = np.zeros((OH, OW, H, W), dtype=f.dtype)
    for i in range(OH):
        for j in range(OW):
            M[i, j, i : i + FH, j : j + FW] = f
    return M.reshape(OH * OW, H * W)


def receptive_field(layers):
    r"""Length of input, along one axis, that one output of a stack of layers depends on.

    With filter lengths :math:`K_l` and strides :math:`S_l`,

    .. math:: r = 1 + \sum_{l=1}^{L} (K_l - 1) \prod_{m<l} S_m

    which for ``L`` equal layers of stride 1 is ``1 + L * (K - 1)``.

    Parameters
    ----------
    layers : sequence of (int, int)
        ``(K, S)`` of each layer, the layer next to the input first.

    Returns
    -------
    int
    """
    r, jump = 1, 1  # jump: distance, in input pixels, between neighbours of the layer's input
    for K, S in layers:
        r += (K - 1) * jump
        jump *= S
    return r
