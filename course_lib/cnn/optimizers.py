r"""Rules that change parameters by their gradients, each a few lines longer than the one before.

All are used alike: ``optimizer.step(params, grads)`` changes the arrays of ``params`` in place. Both are dictionaries
with the same names. ``p`` is a parameter, ``g`` its gradient, :math:`\eta` the learning rate ``lr``; squares, roots and
quotients are entry by entry. Each rule equals ``torch.optim`` step by step.
"""

import numpy as np


class SGD:
    r"""Stochastic gradient descent: a step against the gradient of one mini-batch.

    .. math:: p \leftarrow p - \eta\, g
    """

    def __init__(self, lr=0.1):
        self.lr = lr

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        for name, p in params.items():
            p -= self.lr * grads[name]


class Momentum:
    r"""A ball that rolls: the velocity ``v`` collects gradients and forgets them slowly (Polyak, 1964).

    .. math:: v \leftarrow \mu v + g, \qquad p \leftarrow p - \eta\, v
    """

    def __init__(self, lr=0.1, mu=0.9):
        self.lr, self.mu = lr, mu
        self.v = {}  # one velocity for each parameter, 0 before the first step

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        for name, p in params.items():
            self.v[name] = self.mu * self.v.get(name, 0.0) + grads[name]
            p -= self.lr * self.v[name]


class Nesterov:
    r"""Momentum that looks ahead: the step already contains the *next* push of the velocity (Nesterov, 1983).

    .. math:: v \leftarrow \mu v + g, \qquad p \leftarrow p - \eta\,(g + \mu v)

    In this form ``p`` is the point looked at; the point rolled to is :math:`p + \eta \mu v`.
    """

    def __init__(self, lr=0.1, mu=0.9):
        self.lr, self.mu = lr, mu
        self.v = {}

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        for name, p in params.items():
            g = grads[name]
            self.v[name] = self.mu * self.v.get(name, 0.0) + g
            p -= self.lr * (g + self.mu * self.v[name])


class AdaGrad:
    r"""A learning rate for each entry, smaller the more it has moved already (Duchi, Hazan and Singer, 2011).

    .. math:: s \leftarrow s + g^2, \qquad p \leftarrow p - \eta\, \frac{g}{\sqrt{s} + \varepsilon}
    """

    def __init__(self, lr=0.01, eps=1e-10):
        self.lr, self.eps = lr, eps
        self.s = {}

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        for name, p in params.items():
            g = grads[name]
            self.s[name] = self.s.get(name, 0.0) + g**2
            p -= self.lr * g / (np.sqrt(self.s[name]) + self.eps)


class RMSProp:
    r"""AdaGrad that forgets, so that it does not come to rest (Hinton, lecture notes, 2012).

    .. math:: s \leftarrow \alpha s + (1 - \alpha)\, g^2,
              \qquad p \leftarrow p - \eta\, \frac{g}{\sqrt{s} + \varepsilon}
    """

    def __init__(self, lr=0.01, alpha=0.99, eps=1e-8):
        self.lr, self.alpha, self.eps = lr, alpha, eps
        self.s = {}

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        for name, p in params.items():
            g = grads[name]
            self.s[name] = self.alpha * self.s.get(name, 0.0) + (1 - self.alpha) * g**2
            p -= self.lr * g / (np.sqrt(self.s[name]) + self.eps)


class Adam:
    r"""Momentum and RMSProp, both corrected for having started at 0 (Kingma and Ba, 2015).

    In step :math:`t = 1, 2, \dots`

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g,   &\hat m &= m / (1 - \beta_1^t) \\
        v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2, &\hat v &= v / (1 - \beta_2^t) \\
        p &\leftarrow p - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}
    """

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m, self.v = {}, {}  # mean of the gradients, mean of their squares
        self.t = 0  # steps taken

    def step(self, params, grads):
        """Change every parameter in place."""
        _check(params, grads)
        self.t += 1
        for name, p in params.items():
            g = grads[name]
            self.m[name] = self.beta1 * self.m.get(name, 0.0) + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v.get(name, 0.0) + (1 - self.beta2) * g**2
            m_hat = self.m[name] / (1 - self.beta1**self.t)
            v_hat = self.v[name] / (1 - self.beta2**self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


def _check(params, grads):
    for name, p in params.items():
        if name not in grads:
            raise ValueError(f"parameter {name!r} has no gradient; call backward before step")
        if np.shape(grads[name]) != p.shape:
            raise ValueError(f"parameter {name!r} has shape {p.shape}, its gradient {np.shape(grads[name])}")
