r"""Batch normalisation and the residual branch in NumPy, each with its way back.

The layers keep to chapter 03's agreement: parameters in ``params``, after ``backward`` their gradients in ``grads``.
"""

import numpy as np


def _per_channel(a, x):
    """``a``, one number a channel, in the shape that broadcasts against ``x``: (N, C) or (N, C, H, W)."""
    return a.reshape(1, -1, *[1] * (x.ndim - 2))


def _axes(x):
    """All axes but the channels'."""
    return (0, *range(2, x.ndim))


class BatchNorm:
    r"""Give each channel mean 0 and variance 1 over the batch, then a scale and a shift that are learned.

    .. math:: \mu_c = \frac1m \sum x, \quad \sigma_c^2 = \frac1m \sum (x - \mu_c)^2, \quad
              \hat x = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}, \quad y = \gamma_c \hat x + \beta_c

    The sums run over the :math:`m = N H W` numbers of channel c. At test time :math:`\mu` and :math:`\sigma^2` are the
    moving averages that training has kept, so that an image's result does not depend on its neighbours.

    After Ioffe and Szegedy (2015), with Keras's conventions: the variance is divided by m in both places, and the
    moving averages keep a share ``momentum`` of what they were.

    Parameters
    ----------
    gamma, beta : ndarray, shape (C,)
    momentum : float
    epsilon : float
    """

    def __init__(self, gamma, beta, momentum=0.9, epsilon=1e-5):
        if gamma.shape != beta.shape or gamma.ndim != 1:
            raise ValueError(f"gamma and beta have one number a channel, both (C,), not {gamma.shape} and {beta.shape}")
        self.params, self.grads = {"gamma": gamma, "beta": beta}, {}
        self.momentum, self.epsilon = momentum, epsilon
        self.moving_mean, self.moving_variance = np.zeros_like(gamma), np.ones_like(gamma)

    def forward(self, x, training=True):
        """``x``: (N, C) or (N, C, H, W);  ``y``: its shape. Training moves the moving averages."""
        if x.ndim not in (2, 4) or x.shape[1] != len(self.params["gamma"]):
            raise ValueError(f"x must be (N, C) or (N, C, H, W) with C = {len(self.params['gamma'])}, not {x.shape}")
        if training:
            mean, variance = x.mean(axis=_axes(x)), x.var(axis=_axes(x))
            self.moving_mean = self.momentum * self.moving_mean + (1 - self.momentum) * mean
            self.moving_variance = self.momentum * self.moving_variance + (1 - self.momentum) * variance
        else:
            mean, variance = self.moving_mean, self.moving_variance
        self._sigma = np.sqrt(variance + self.epsilon)  # (C,)
        self._x_hat = (x - _per_channel(mean, x)) / _per_channel(self._sigma, x)
        return _per_channel(self.params["gamma"], x) * self._x_hat + _per_channel(self.params["beta"], x)

    def backward(self, dy):
        """``dy`` and ``dx``: the shape of ``x``, after a forward in training."""
        dx, dgamma, dbeta = batch_norm_backward(dy, self._x_hat, self._sigma, self.params["gamma"])
        self.grads = {"gamma": dgamma, "beta": dbeta}
        return dx


def batch_norm_backward(dy, x_hat, sigma, gamma):
    r"""The gradients of batch normalisation in training.

    .. math:: d\gamma = \sum dy\,\hat x, \qquad d\beta = \sum dy, \qquad
              dx = \frac{\gamma}{\sigma}\Big(dy - \overline{dy} - \hat x\,\overline{dy\,\hat x}\Big)

    Bars are means over the batch and the positions of a channel: ``x`` moves its own mean and variance.

    Parameters
    ----------
    dy, x_hat : ndarray, shape (N, C) or (N, C, H, W)
        The gradient that arrives, and the normalised input of the forward pass.
    sigma, gamma : ndarray, shape (C,)
        The standard deviation that was divided by (epsilon included), and the scale.

    Returns
    -------
    (dx, dgamma, dbeta)
        ``dx`` of the shape of ``dy``, the others (C,).
    """
    axes, m = _axes(dy), dy.size // dy.shape[1]
    dgamma, dbeta = (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)
    inner = dy - (_per_channel(dbeta, dy) + x_hat * _per_channel(dgamma, dy)) / m
    return _per_channel(gamma / sigma, dy) * inner, dgamma, dbeta


class Residual:
    r"""A branch and a straight path beside it.

    .. math:: y = \max(0,\; F(x) + x), \qquad ds = dy \cdot [y > 0], \qquad dx = ds + F'(x)^\top ds

    Whatever the branch does to the gradient, ``ds`` arrives as well, as it is. After He, Zhang, Ren and Sun (2016).

    Parameters
    ----------
    branch : layer
        With ``forward`` and ``backward``; its result has the shape of its input.
    """

    def __init__(self, branch):
        self.branch = branch

    @property
    def params(self):
        return self.branch.params

    @property
    def grads(self):
        return self.branch.grads

    def forward(self, x):
        """``x`` and ``y``: any shape that the branch keeps."""
        s = self.branch.forward(x) + x
        self._positive = s > 0
        return np.maximum(s, 0)

    def backward(self, dy):
        """``dy`` and ``dx``: the shape of ``x``."""
        ds = dy * self._positive
        return ds + self.branch.backward(ds)
