r"""Chapter 03: layers that know their own gradient, and the ways to check one.

A layer maps ``x`` to ``y``; somewhere behind it a loss ``E`` is computed from ``y``. Given
:math:`dy = \partial E / \partial y`, ``backward`` returns :math:`dx = \partial E / \partial x` and leaves
:math:`\partial E / \partial W` and :math:`\partial E / \partial b` in ``grads``. The letters are those of chapter 01:
``N`` images, ``C`` channels, ``H, W`` input, ``OC`` filters of ``FH, FW``, ``OH, OW`` output, stride ``S``,
padding ``P``. Gradients are summed over the batch, never averaged: the loss decides about that.

Source: T. Takenawa, *Deep Learning, Part 3*, sections 2.1-2.4, carried over to channels, batches, strides and padding.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from course_lib.convolution import conv2d, output_size, pad2d

# ---- derivatives by measuring ----


def numerical_gradient(f, x, h=1e-5):
    r"""Gradient of a scalar function by central differences.

    .. math:: \frac{\partial f}{\partial x_k} \approx \frac{f(x + h e_k) - f(x - h e_k)}{2h}

    Parameters
    ----------
    f : callable
        Takes an array like ``x`` and returns a number.
    x : ndarray
        Any shape; it is not changed, and ``f`` sees float64 whatever its dtype.
    h : float
        Half the distance between the two points at which ``f`` is taken.

    Returns
    -------
    ndarray of float64, shape of ``x``
    """
    x = np.array(x, dtype=np.float64)  # a copy: f may keep what it is given, and float32 cannot hold 1 + 1e-8
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        here = x[index]
        x[index] = here + h
        above = f(x)
        x[index] = here - h
        below = f(x)
        x[index] = here
        gradient[index] = (above - below) / (2 * h)
    return gradient


def relative_error(a, b):
    r"""How far two arrays are apart, entry by entry, in units of the entries themselves.

    .. math:: e_k = \frac{|a_k - b_k|}{\max(|a_k|,\ |b_k|,\ 10^{-3} m)}

    with ``m`` the largest absolute value in either array: an entry that should be zero is compared with the others.

    Parameters
    ----------
    a, b : ndarray of the same shape

    Returns
    -------
    ndarray of float64, the same shape
        0 where both arrays are zero everywhere.

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting would hide a wrong gradient.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"a gradient has the shape of its tensor: {a.shape} cannot be compared with {b.shape}")
    size = np.maximum(np.abs(a), np.abs(b))
    size = np.maximum(size, 1e-3 * size.max(initial=0.0))
    return np.abs(a - b) / np.where(size > 0, size, 1.0)


def gradient_check(layer, x, dy, h=1e-5):
    r"""Compare a layer's gradients with numerical ones, for the loss :math:`E = \sum y \cdot dy`.

    That loss has :math:`\partial E / \partial y = dy`, so that any ``dy`` can be tried. Use float64.

    Parameters
    ----------
    layer : Layer
        Its parameters are the same afterwards.
    x : ndarray
        What goes into ``layer.forward``.
    dy : ndarray, shape of ``layer.forward(x)``

    Returns
    -------
    dict of str to ndarray
        For ``"x"`` and every parameter, the relative error of each entry of its gradient.
    """
    layer.forward(x)
    gradients = {"x": layer.backward(dy), **layer.grads}  # before the parameters are moved

    def loss(value, name):
        if name == "x":
            return np.sum(layer.forward(value) * dy)
        kept, layer.params[name] = layer.params[name], value
        y = layer.forward(x)
        layer.params[name] = kept
        return np.sum(y * dy)

    return {
        name: relative_error(gradients[name], numerical_gradient(lambda v, name=name: loss(v, name), value, h))
        for name, value in {"x": x, **layer.params}.items()
    }


# ---- one image, one filter: what the gradients of a convolution are ----


def filter_gradient(x, dy):
    r"""Gradient of one filter: the input correlated with ``dy``, the same as ``conv2d(x, dy)``.

    .. math:: df_{pq} = \sum_{i,j} dy_{ij}\; x_{i+p,\;j+q}

    Parameters
    ----------
    x : ndarray, shape (H, W)
    dy : ndarray, shape (H - FH + 1, W - FW + 1)

    Returns
    -------
    ndarray, shape (FH, FW)
    """
    (H, W), (OH, OW) = x.shape, dy.shape
    df = np.empty((H - OH + 1, W - OW + 1), dtype=np.result_type(x, dy))
    for p, q in np.ndindex(df.shape):
        df[p, q] = np.sum(dy * x[p : p + OH, q : q + OW])
    return df


def input_gradient(dy, f):
    r"""Gradient of one image: ``dy`` inside a border of zeros, correlated with the filter turned by 180 degrees.

    .. math:: dx_{kl} = \sum_{p,q} dy_{k-p,\;l-q}\; f_{pq}

    Parameters
    ----------
    dy : ndarray, shape (OH, OW)
    f : ndarray, shape (FH, FW)

    Returns
    -------
    ndarray, shape (OH + FH - 1, OW + FW - 1)
    """
    FH, FW = f.shape
    dy = np.pad(dy, ((FH - 1, FH - 1), (FW - 1, FW - 1)))
    return conv2d(dy, f[::-1, ::-1])


# ---- patches, and the way back ----


def patches(x, filter_shape, stride=1):
    """Every patch that a filter sees, as a view: no pixel is copied.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W)
    filter_shape : (int, int)

    Returns
    -------
    ndarray, shape (N, C, FH, FW, OH, OW)
        Read-only; im2col (chapter 01) is a copy of it.
    """
    windows = sliding_window_view(x, filter_shape, axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 1, 4, 5, 2, 3)


def tap(x, p, q, size, stride=1):
    """The pixels that lie under tap ``(p, q)`` of a filter at its ``size = (OH, OW)`` positions: a view of ``x``."""
    OH, OW = size
    return x[..., p : p + OH * stride : stride, q : q + OW * stride : stride]


def col2im(columns, x_shape, filter_shape, stride=1, padding=0):
    """Add every column back to the pixels that it was read from: the transpose of ``im2col``.

    Where patches overlap their contributions add up; what falls on the border is dropped.

    Parameters
    ----------
    columns : ndarray, shape (N, C * FH * FW, OH * OW)
    x_shape : (N, C, H, W)
    filter_shape : (FH, FW)
    stride, padding : int

    Returns
    -------
    ndarray, shape (N, C, H, W), dtype of ``columns``

    Raises
    ------
    ValueError
        If the columns are not those of such an image.
    """
    N, C, H, W = x_shape
    FH, FW = filter_shape
    OH, OW = output_size(H, FH, stride, padding), output_size(W, FW, stride, padding)
    if columns.shape != (N, C * FH * FW, OH * OW):
        raise ValueError(f"columns have shape {columns.shape}; im2col would give {(N, C * FH * FW, OH * OW)}")
    columns = columns.reshape(N, C, FH, FW, OH, OW)
    x = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=columns.dtype)
    for p in range(FH):
        for q in range(FW):
            tap(x, p, q, (OH, OW), stride)[...] += columns[:, :, p, q]
    return x[:, :, padding : padding + H, padding : padding + W]


# ---- layers ----


class Layer:
    """What every layer has: ``forward``, ``backward``, and its parameters and their gradients by the same names.

    ``backward`` belongs to the latest ``forward``. A layer keeps what ``backward`` needs in arrays of its own, so the
    caller may fill ``x`` with the next batch in between. Parameters may be changed in place or replaced in ``params``.
    """

    def __init__(self, **params):
        self.params, self.grads = params, {}
        self._y_shape = None

    def forward(self, x):
        """From ``x`` to ``y``."""
        raise NotImplementedError

    def backward(self, dy):
        """From ``dy`` to ``dx``; the gradients of the parameters go to ``grads``."""
        raise NotImplementedError

    def _expects(self, dy):
        if self._y_shape is None:
            raise ValueError("backward needs what forward keeps: call forward(x) first")
        if dy.shape != self._y_shape:
            raise ValueError(f"dy has shape {dy.shape}, but the latest forward gave y of shape {self._y_shape}")


class ReLU(Layer):
    r""":math:`y = \max(x, 0)`, entry by entry; the gradient passes where :math:`x > 0`."""

    def forward(self, x):
        """``x`` of any shape; ``y`` has its shape and dtype."""
        self._positive = x > 0
        self._y_shape = x.shape
        return np.maximum(x, 0)

    def backward(self, dy):
        """``dx`` of the same shape and dtype as ``dy``; 0 at ``x = 0``, as in PyTorch."""
        self._expects(dy)
        return dy * self._positive


class Conv2D(Layer):
    r"""Cross-correlation of a batch with a bank of filters.

    With :math:`\tilde x` the input in its border of zeros,

    .. math::
        y_{noij} &= b_o + \sum_{c,p,q} \tilde x_{n,c,\,iS+p,\,jS+q}\; w_{ocpq} \\
        db_o &= \sum_{n,i,j} dy_{noij} \\
        dw_{ocpq} &= \sum_{n,i,j} dy_{noij}\; \tilde x_{n,c,\,iS+p,\,jS+q} \\
        d\tilde x_{nckl} &= \sum_{o}\ \sum_{\substack{i,j,p,q:\ iS+p=k,\\ jS+q=l}} dy_{noij}\; w_{ocpq}

    Parameters
    ----------
    W : ndarray, shape (OC, C, FH, FW)
    b : ndarray, shape (OC,)
    stride, padding : int
    """

    def __init__(self, W, b, stride=1, padding=0):
        if W.ndim != 4 or b.shape != W.shape[:1]:
            raise ValueError(f"W needs shape (OC, C, FH, FW) and b (OC,), not {W.shape} and {b.shape}")
        super().__init__(W=W, b=b)
        self.stride, self.padding = stride, padding

    def forward(self, x):
        """``x``: (N, C, H, W); ``y``: (N, OC, OH, OW), its dtype. Raises ValueError if channels or sizes do not fit."""
        W, b = self.params["W"], self.params["b"]
        N, C, height, width = x.shape
        OC, W_C, FH, FW = W.shape
        if C != W_C:
            raise ValueError(f"the images have {C} channels but the filters expect {W_C}")
        OH = output_size(height, FH, self.stride, self.padding)
        OW = output_size(width, FW, self.stride, self.padding)
        self._x = pad2d(x, self.padding)  # always a copy
        self._y_shape = (N, OC, OH, OW)
        y = np.empty(self._y_shape, dtype=np.result_type(x, W))
        for n, columns in enumerate(self._columns()):
            np.matmul(W.reshape(OC, -1), columns, out=y[n].reshape(OC, OH * OW))
        y += b[:, None, None]
        return y

    def backward(self, dy):
        """``dy``: (N, OC, OH, OW); ``dx``: (N, C, H, W). Leaves ``grads["W"]`` and ``grads["b"]``, summed over N."""
        self._expects(dy)
        N, OC, OH, OW = dy.shape
        W = self.params["W"]
        _, C, FH, FW = W.shape
        dW = np.zeros((C * FH * FW, OC), dtype=np.result_type(self._x, dy))
        dx = np.zeros(self._x.shape, dtype=np.result_type(W, dy))
        dcolumns = np.empty((C, FH, FW, OH, OW), dtype=dx.dtype)  # of one image, the same memory for all
        for n, columns in enumerate(self._columns()):
            dy_n = dy[n].reshape(OC, OH * OW)
            dW += columns @ dy_n.T
            np.matmul(W.reshape(OC, -1).T, dy_n, out=dcolumns.reshape(-1, OH * OW))
            for p, q in np.ndindex(FH, FW):
                tap(dx[n], p, q, (OH, OW), self.stride)[...] += dcolumns[:, p, q]
        self.grads = {"W": dW.T.reshape(W.shape), "b": dy.sum(axis=(0, 2, 3))}
        P = self.padding
        return dx[:, :, P : dx.shape[2] - P, P : dx.shape[3] - P]

    def _columns(self):
        """The columns of one image after the other, (C*FH*FW, OH*OW), in one piece of memory that fits the cache."""
        views = patches(self._x, self.params["W"].shape[2:], self.stride)
        N, C, FH, FW, OH, OW = views.shape
        columns = np.empty((C, FH, FW, OH, OW), dtype=self._x.dtype)
        for view in views:
            np.copyto(columns, view)
            yield columns.reshape(C * FH * FW, OH * OW)


class MaxPool2D(Layer):
    r"""The largest number of each window, channel by channel.

    .. math:: y_{ncij} = \max_{p,q}\; x_{n,c,\,iS+p,\,jS+q}

    The gradient goes to the entry that was the largest; of several, to the first in reading order.

    Parameters
    ----------
    size : int
        Height and width of the window.
    stride : int, optional
        Default: ``size``, windows side by side.
    """

    def __init__(self, size, stride=None):
        super().__init__()
        self.size, self.stride = size, size if stride is None else stride

    def forward(self, x):
        """``x``: (N, C, H, W); ``y``: (N, C, OH, OW), its dtype."""
        OH, OW = (output_size(length, self.size, self.stride) for length in x.shape[2:])
        y = tap(x, 0, 0, (OH, OW), self.stride).copy()
        self._winner = np.zeros(y.shape, dtype=np.intp)  # which tap, p * size + q
        for p, q in list(np.ndindex(self.size, self.size))[1:]:
            candidate = tap(x, p, q, (OH, OW), self.stride)
            self._winner[candidate > y] = p * self.size + q
            np.maximum(y, candidate, out=y)
        self._x_shape, self._y_shape = x.shape, y.shape
        return y

    def backward(self, dy):
        """``dy``: (N, C, OH, OW); ``dx``: (N, C, H, W), its dtype."""
        self._expects(dy)
        dx = np.zeros(self._x_shape, dtype=dy.dtype)
        for p, q in np.ndindex(self.size, self.size):
            won = self._winner == p * self.size + q
            tap(dx, p, q, dy.shape[2:], self.stride)[...] += dy * won
        return dx


class AvgPool2D(Layer):
    r"""The mean of each window, channel by channel.

    .. math:: y_{ncij} = \frac{1}{K^2} \sum_{p,q} x_{n,c,\,iS+p,\,jS+q}

    Each of the :math:`K^2` entries of a window gets the same share of the gradient.

    Parameters
    ----------
    size : int
        Height and width ``K`` of the window.
    stride : int, optional
        Default: ``size``, windows side by side.
    """

    def __init__(self, size, stride=None):
        super().__init__()
        self.size, self.stride = size, size if stride is None else stride

    def forward(self, x):
        """``x``: (N, C, H, W); ``y``: (N, C, OH, OW), its dtype."""
        OH, OW = (output_size(length, self.size, self.stride) for length in x.shape[2:])
        y = np.zeros((*x.shape[:2], OH, OW), dtype=np.result_type(x, np.float16))  # integers have no means
        for p, q in np.ndindex(self.size, self.size):
            y += tap(x, p, q, (OH, OW), self.stride)
        y /= self.size**2
        self._x_shape, self._y_shape = x.shape, y.shape
        return y

    def backward(self, dy):
        """``dy``: (N, C, OH, OW); ``dx``: (N, C, H, W), its dtype."""
        self._expects(dy)
        dx = np.zeros(self._x_shape, dtype=dy.dtype)
        share = dy / self.size**2
        for p, q in np.ndindex(self.size, self.size):
            tap(dx, p, q, dy.shape[2:], self.stride)[...] += share
        return dx
