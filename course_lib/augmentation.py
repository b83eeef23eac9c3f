r"""Chapter 06: new training images from old ones, in NumPy and, through ``xp``, in CuPy.

A batch ``x`` has shape ``(N, C, H, W)``. Every transform takes its parameters *for each image*, as arrays of length
``N``; nothing in here draws a random number. So the same parameters can be given to this module, to
:mod:`course_lib.augmentation_torch` and to :mod:`course_lib.augmentation_keras`, and the results compared.

Positions are ``(row, column)`` in pixels, pixel centres at whole numbers, rows growing downwards. Transforms that move
pixels turn about the image's centre, ``((H - 1) / 2, (W - 1) / 2)``. ``fill`` is the value outside the image.

Where ``xp`` is asked for, give the array module of ``x``: ``numpy`` (the default) or ``cupy``.

Sources: T. Takenawa, *Deep Learning, Part 3*, sections 3.2-3.3; T. DeVries and G. Taylor (2017) for cutout; H. Zhang
et al. (2018) for mixup.
"""

import numpy as np


def flip(x, which, xp=np):
    """Mirror some images left to right.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    which : ndarray of bool, shape (N,)
        Which images are mirrored.

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``
    """
    return xp.where(which[:, None, None, None], x[..., ::-1], x)


def shift(x, dy, dx, fill=0, xp=np):
    r"""Move each image by whole pixels; what comes in from outside is ``fill``.

    .. math:: y_{n,c,i,j} = x_{n,c,\,i-dy_n,\;j-dx_n} \quad\text{inside the image, otherwise fill}

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    dy, dx : ndarray of int, shape (N,)
        Pixels down and to the right; negative: up and to the left.
    fill : scalar

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``
    """
    H, W = x.shape[2:]
    i = xp.arange(H)[:, None] - dy[:, None, None]  # (N, H, 1): the row that each row comes from
    j = xp.arange(W)[None, :] - dx[:, None, None]  # (N, 1, W)
    return pixels(x, i, j, fill, xp)


def brightness(x, gain, xp=np):
    r"""Multiply each image by its own factor and keep the result in the range of the image.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        ``uint8`` from 0 to 255, or floating point from 0 to 1.
    gain : ndarray, shape (N,)
        Above 1 brightens, below 1 darkens.

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``
        Clipped; whole numbers are rounded, not cut off.
    """
    y = x * gain[:, None, None, None]  # floating point, so that nothing wraps around
    if x.dtype == xp.uint8:
        return xp.rint(xp.clip(y, 0, 255)).astype(xp.uint8)
    return xp.clip(y, 0, 1).astype(x.dtype)


def pixels(x, i, j, fill=0, xp=np):
    """The pixels of each image at rows ``i`` and columns ``j``; ``fill`` where there is none.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    i, j : ndarray of int, broadcastable to (N, OH, OW)
    fill : scalar

    Returns
    -------
    ndarray, shape (N, C, OH, OW), dtype of ``x``
    """
    N, C, H, W = x.shape
    i, j = xp.broadcast_arrays(i, j)
    inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)  # (N, OH, OW)
    flat = xp.clip(i, 0, H - 1) * W + xp.clip(j, 0, W - 1)
    found = xp.take_along_axis(x.reshape(N, C, H * W), flat.reshape(N, 1, -1), axis=2)  # (N, C, OH*OW)
    return xp.where(inside[:, None], found.reshape(N, C, *i.shape[1:]), xp.asarray(fill, dtype=x.dtype))


def bilinear(x, rows, cols, fill=0, xp=np):
    r"""The value of each image between its pixels.

    With :math:`i = \lfloor r \rfloor`, :math:`j = \lfloor c \rfloor` and :math:`s = r - i`, :math:`t = c - j`,

    .. math:: (1-s)(1-t)\,x_{i,j} + (1-s)\,t\,x_{i,j+1} + s\,(1-t)\,x_{i+1,j} + s\,t\,x_{i+1,j+1}

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Floating point.
    rows, cols : ndarray, shape (N, OH, OW)
        Positions :math:`r`, :math:`c`, in pixels.
    fill : scalar
        The value of each of the four neighbours that is outside the image.

    Returns
    -------
    ndarray, shape (N, C, OH, OW), dtype of ``x``
    """
    i, j = xp.floor(rows).astype(int), xp.floor(cols).astype(int)
    s, t = (rows - i)[:, None].astype(x.dtype), (cols - j)[:, None].astype(x.dtype)  # (N, 1, OH, OW)
    above = (1 - t) * pixels(x, i, j, fill, xp) + t * pixels(x, i, j + 1, fill, xp)
    below = (1 - t) * pixels(x, i + 1, j, fill, xp) + t * pixels(x, i + 1, j + 1, fill, xp)
    return (1 - s) * above + s * below


def warp(x, matrix, offset=None, fill=0, xp=np):
    r"""Move every point of each image: one at :math:`p` from the centre goes to :math:`A p + b`.

    To fill the new image, ask for each of its pixels :math:`q` where it comes *from*:

    .. math:: p = A^{-1} (q - b)

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Floating point.
    matrix : ndarray, shape (N, 2, 2)
        ``A``, acting on (row, column).
    offset : ndarray, shape (N, 2), optional
        ``b``, in pixels down and to the right. Default: 0.
    fill : scalar

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``

    Raises
    ------
    ValueError
        If there is not one matrix for each image, or one would flatten its image to a line.
    """
    N, C, H, W = x.shape
    if matrix.shape != (N, 2, 2):
        raise ValueError(f"{N} images need matrices of shape ({N}, 2, 2), not {matrix.shape}")
    if xp is np and (np.abs(np.linalg.det(matrix)) < 1e-8).any():  # on a GPU, asking would mean waiting for it
        raise ValueError("a matrix has determinant 0 and flattens its image; a zoom, say, must not be by 0")
    centre = xp.asarray([(H - 1) / 2, (W - 1) / 2])
    i, j = xp.meshgrid(xp.arange(H), xp.arange(W), indexing="ij")  # (H, W) each
    q = xp.stack([i.ravel(), j.ravel()]) - centre[:, None]  # (2, H*W)
    if offset is not None:
        q = q - offset[:, :, None]  # (N, 2, H*W)
    p = xp.linalg.inv(matrix) @ q + centre[:, None]  # (N, 2, H*W)
    return bilinear(x, p[:, 0].reshape(N, H, W), p[:, 1].reshape(N, H, W), fill, xp)


def rotation(angle, xp=np):
    """The matrices ``(N, 2, 2)`` that turn by ``angle`` radians, counter-clockwise as one sees the picture."""
    c, s = xp.cos(angle), xp.sin(angle)
    return xp.stack([xp.stack([c, -s], -1), xp.stack([s, c], -1)], -2)


def rotate(x, angle, fill=0, xp=np):
    r"""Turn each image about its centre, counter-clockwise as one sees it.

    .. math:: A = \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
              \quad\text{acting on}\quad \binom{\text{row}}{\text{column}}

    Parameters
    ----------
    angle : ndarray, shape (N,)
        Radians.
    x, fill
        As in :func:`warp`, whose result this is.
    """
    c, s = xp.cos(angle), xp.sin(angle)
    A = xp.stack([xp.stack([c, -s], -1), xp.stack([s, c], -1)], -2)  # (N, 2, 2)
    return warp(x, A, None, fill, xp)


def zoom(x, factor, fill=0, xp=np):
    r"""Enlarge each image about its centre: :math:`A = z\,I`.

    Parameters
    ----------
    factor : ndarray, shape (N,)
        ``z``: above 1 zooms in, below 1 zooms out.
    x, fill
        As in :func:`warp`, whose result this is.
    """
    return warp(x, factor[:, None, None] * xp.eye(2), None, fill, xp)


def shear(x, slant, fill=0, xp=np):
    r"""Slant each image: a point ``r`` rows below the centre moves by ``m r`` columns to the right.

    .. math:: A = \begin{pmatrix} 1 & 0 \\ m & 1 \end{pmatrix}

    Parameters
    ----------
    slant : ndarray, shape (N,)
        :math:`m`, in columns for each row.
    x, fill
        As in :func:`warp`, whose result this is.
    """
    one, zero = xp.ones_like(slant), xp.zeros_like(slant)
    A = xp.stack([xp.stack([one, zero], -1), xp.stack([slant, one], -1)], -2)  # (N, 2, 2)
    return warp(x, A, None, fill, xp)


def cutout(x, cy, cx, size, fill=0, xp=np):
    """Cover a square of each image. A square that hangs over the edge covers what is inside.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    cy, cx : ndarray of int, shape (N,)
        The square covers rows ``cy - size // 2`` to ``cy - size // 2 + size - 1``, and columns likewise.
    size, fill : int, scalar

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``
    """
    H, W = x.shape[2:]
    i = xp.arange(H) - (cy - size // 2)[:, None]  # (N, H): 0 in the square's first row
    j = xp.arange(W) - (cx - size // 2)[:, None]
    covered = ((i >= 0) & (i < size))[:, :, None] & ((j >= 0) & (j < size))[:, None, :]  # (N, H, W)
    return xp.where(covered[:, None], xp.asarray(fill, dtype=x.dtype), x)


def mixup(x, y, share, partner, xp=np):
    r"""Mix each image with another one of the batch, and its label with the other's, in the same proportion.

    .. math:: x'_n = \lambda_n x_n + (1-\lambda_n)\,x_{\pi(n)}, \qquad y'_n = \lambda_n y_n + (1-\lambda_n)\,y_{\pi(n)}

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    y : ndarray, shape (N, K)
        The labels as probabilities: a one in each row at first.
    share, partner : ndarray, shape (N,)
        :math:`\lambda` from 0 to 1, and the index :math:`\pi(n)` of the image that image ``n`` is mixed with.

    Returns
    -------
    x, y : ndarray, of the same shapes
    """
    along_x, along_y = share.astype(x.dtype)[:, None, None, None], share.astype(y.dtype)[:, None]
    return along_x * x + (1 - along_x) * x[partner], along_y * y + (1 - along_y) * y[partner]


def augment(x, u, angle=np.pi, zoom=1.1, shift=0.05, flip=0.5, gain=0.2, fill=0, training=True, xp=np):
    r"""Turn, zoom, shift and mirror each image in a single interpolation, then change its brightness.

    ``u`` holds six numbers for each image, independent and uniform from 0 to 1. They become

    =======  =======================================================================
    column   parameter
    =======  =======================================================================
    0        angle :math:`\theta = (2u - 1)\,`\ ``angle``
    1        factor :math:`z =` ``zoom`` :math:`^{2u - 1}`: from 1/zoom to zoom
    2, 3     offset :math:`b = ((2u_2 - 1)\,`\ ``shift`` :math:`H, (2u_3 - 1)\,`\ ``shift`` :math:`W)`
    4        mirrored left to right first if :math:`u <` ``flip``
    5        brightness :math:`g = 1 + (2u - 1)\,`\ ``gain``
    =======  =======================================================================

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
        Floating point from 0 to 1.
    u : ndarray, shape (N, 6)
    angle, zoom, shift, flip, gain : float
        How far each transform goes. ``0, 1, 0, 0, 0`` switches them all off.
    fill : scalar
    training : bool
        If false, ``x`` is returned as it is: test images are never changed.

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``x``
    """
    if not training:
        return x
    H, W = x.shape[2:]
    A = rotation((2 * u[:, 0] - 1) * angle, xp) * (zoom ** (2 * u[:, 1] - 1))[:, None, None]  # (N, 2, 2)
    mirror = xp.where(u[:, 4] < flip, -1.0, 1.0)  # of the column
    A = xp.stack([A[:, :, 0], A[:, :, 1] * mirror[:, None]], -1)  # mirrored first, then turned
    b = (2 * u[:, 2:4] - 1) * shift * xp.asarray([H, W])  # (N, 2)
    return brightness(warp(x, A, b, fill, xp), 1 + (2 * u[:, 5] - 1) * gain, xp)
