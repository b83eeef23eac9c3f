r"""Transposed convolution in NumPy, three ways, and what a convolution of stride ``S`` has to do with it.

A convolution takes an image to a smaller one. Its *transpose* takes an array of the smaller shape to one of the larger
shape, with the same weights and the same connections, walked the other way. It is what chapter 03 called the gradient
with respect to the input; here it is a layer of its own.

The weights have the shape ``(C, OC, FH, FW)``, input channels first, as in PyTorch: those of the *convolution* whose
transpose this is, from ``OC`` channels to ``C``. With stride ``S`` and padding ``P``, both of that convolution,

.. math:: OH = (H - 1)\,S + FH - 2P
"""

import numpy as np

from course_lib.convolution import conv2d_nchw


def transposed_size(H, FH, stride=1, padding=0):
    """Length of the output of a transposed convolution along one axis: ``(H - 1) * stride + FH - 2 * padding``.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    OH = (H - 1) * stride + FH - 2 * padding
    if OH < 1:
        raise ValueError(f"length {H}, filter {FH}, stride {stride}: padding {padding} takes everything away")
    return OH


def conv_transpose2d(x, weight, stride=1, padding=0):
    r"""Transposed convolution by scattering: every pixel of ``x`` stamps the filter, times its value, onto the output.

    .. math:: y_{n,o,\,iS+p-P,\,jS+q-P} \mathrel{+}= x_{n,c,i,j}\; w_{c,o,p,q}

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    weight : ndarray, shape (C, OC, FH, FW)
    stride : int
        ``S``: how far apart the stamps of neighbouring pixels lie.
    padding : int
        ``P``: how much is cut off at each side.

    Returns
    -------
    ndarray, shape (N, OC, OH, OW)
        With ``OH = (H - 1) * stride + FH - 2 * padding``.

    Raises
    ------
    ValueError
        If the channels differ, or the padding leaves nothing.
    """
    N, C, H, W = x.shape
    weight_C, OC, FH, FW = weight.shape
    if C != weight_C:
        raise ValueError(f"the images have {C} channels but the filters expect {weight_C}")
    OH, OW = transposed_size(H, FH, stride, padding), transposed_size(W, FW, stride, padding)
    y = np.zeros((N, OC, (H - 1) * stride + FH, (W - 1) * stride + FW), dtype=np.result_type(x, weight))
    for p in range(FH):
        for q in range(FW):
            # (N, C, H, W) and (C, OC) give (N, OC, H, W): what tap (p, q) of all stamps adds
            y[:, :, p : p + H * stride : stride, q : q + W * stride : stride] += np.einsum(
                "nchw,co->nohw", x, weight[:, :, p, q]
            )
    return y[:, :, padding : padding + OH, padding : padding + OW]


def insert_zeros(x, stride):
    """Put ``stride - 1`` zeros between neighbouring pixels: ``(N, C, H, W)`` to ``(N, C, (H-1)*stride+1, ...)``."""
    N, C, H, W = x.shape
    y = np.zeros((N, C, (H - 1) * stride + 1, (W - 1) * stride + 1), dtype=x.dtype)
    y[:, :, ::stride, ::stride] = x
    return y


def as_convolution(x, weight, stride=1, padding=0):
    """What an ordinary convolution of stride 1 needs, to give the transposed one.

    Zeros go between the pixels and a border of ``F - 1 - P`` zeros around them; the filters are rotated by 180°, and
    their two channel axes change places.

    Parameters
    ----------
    x, weight, stride, padding
        See :func:`conv_transpose2d`; ``padding`` is at most ``F - 1`` here.

    Returns
    -------
    spread : ndarray, shape (N, C, (H - 1) * S + 1 + 2 * (FH - 1 - P), ...)
    turned : ndarray, shape (OC, C, FH, FW)

    Raises
    ------
    ValueError
        If the padding exceeds the filter's length minus one.
    """
    _, _, FH, FW = weight.shape
    if padding > min(FH, FW) - 1:
        raise ValueError(f"padding {padding} needs a filter of at least {padding + 1}; this one is {FH}×{FW}")
    borders = [(F - 1 - padding,) * 2 for F in (FH, FW)]
    spread = np.pad(insert_zeros(x, stride), ((0, 0), (0, 0), *borders))
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return spread, turned


def conv_transpose2d_zeros(x, weight, stride=1, padding=0):
    """Transposed convolution by zero insertion: an ordinary convolution of a spread-out image.

    Parameters and result: see :func:`conv_transpose2d`; ``padding`` is at most ``F - 1`` here.

    Raises
    ------
    ValueError
        If the channels differ, or the padding exceeds the filter's length minus one.
    """
    return conv2d_nchw(*as_convolution(x, weight, stride, padding))


def strided_conv_matrix(weight, H, W, stride=1, padding=0):
    """The matrix ``M`` of a convolution with stride: ``M @ image.ravel()`` is the convolved image, raveled.

    It is read off the convolution itself: column ``k`` is what becomes of the image that is 1 in entry ``k`` and 0
    elsewhere.

    Parameters
    ----------
    weight : ndarray, shape (C, OC, FH, FW)
        Filters of a convolution from ``OC`` channels to ``C``.
    H, W : int
        Size of the (large) images that the convolution takes.
    stride, padding : int

    Returns
    -------
    ndarray, shape (C * SH * SW, OC * H * W)
        With the (small) size ``SH = (H + 2P - FH) // S + 1``.
    """
    OC = weight.shape[1]
    units = np.eye(OC * H * W, dtype=weight.dtype).reshape(-1, OC, H, W)
    return conv2d_nchw(units, weight, stride=stride, padding=padding).reshape(len(units), -1).T


def conv_transpose2d_matrix(x, weight, stride=1, padding=0):
    """Transposed convolution by definition: multiply with the transpose of the convolution's matrix.

    Slow and large; it is here to be agreed with. Parameters and result: see :func:`conv_transpose2d`.
    """
    N, _, H, W = x.shape
    _, OC, FH, FW = weight.shape
    OH, OW = transposed_size(H, FH, stride, padding), transposed_size(W, FW, stride, padding)
    M = strided_conv_matrix(weight, OH, OW, stride, padding)  # (C*H*W, OC*OH*OW)
    return (x.reshape(N, -1) @ M).reshape(N, OC, OH, OW)  # row vectors: x Mᵀᵀ


def cover(size, K, stride):
    """How many stamps lie on each pixel of a transposed convolution of ``size`` × ``size`` pixels: its checkerboard.

    Where ``stride`` divides ``K``, the inside is even; otherwise some pixels get more than their neighbours, always.

    Returns
    -------
    ndarray of float, shape (OH, OH)
    """
    ones = np.ones((1, 1, size, size)), np.ones((1, 1, K, K))
    return conv_transpose2d(*ones, stride)[0, 0]
