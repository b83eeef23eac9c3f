r"""The game in one dimension: the data are normal, the generator shifts and stretches noise, everything can be drawn.

.. math:: x \sim \mathcal N(\mu, \sigma^2), \qquad G(\varepsilon) = a + b\,\varepsilon, \quad
          \varepsilon \sim \mathcal N(0, 1), \qquad z(x) = \text{a small network}, \quad D = \sigma(z)
"""

import numpy as np

HIDDEN, BATCH = 24, 256


def play(steps, bce, start=(-2.0, 0.5), data=(2.0, 1.0), saturating=False, lr=(0.05, 0.02), seed=0):
    """Train generator and discriminator in turn, in NumPy.

    The generator goes down its gradient as it is: Adam would stretch even a tiny one to a full step, and hide what the
    saturating loss does.

    Parameters
    ----------
    steps : int
    bce : callable
        ``bce(z, y)`` gives a loss and its gradient with respect to ``z``, as
        :func:`course_lib.pix2pix.bce_from_logits`; the learner's own, say.
    start : (float, float)
        The generator's first ``a`` and ``b``.
    data : (float, float)
        Mean and standard deviation of the data.
    saturating : bool
        Let the generator minimise ``log(1 - D)`` as the value function says, instead of ``-log D``.
    lr : (float, float)
        The learning rates of the generator's plain gradient descent, and of the discriminator's Adam.
    seed : int

    Returns
    -------
    dict
        ``"a"``, ``"b"``, ``"D loss"`` (half of the two terms), ``"G loss"``, ``"slope"`` (the size of the generator's
        gradient with respect to ``a``): arrays of shape (steps,); and ``"logit"``: functions of x, one after each
        tenth of the steps.
    """
    rng = np.random.default_rng(seed)
    G = {"a": np.array(float(start[0])), "b": np.array(float(start[1]))}
    D = {
        "W": rng.normal(size=(1, HIDDEN)), "c": rng.uniform(-3, 3, HIDDEN),
        "v": rng.normal(size=HIDDEN) / HIDDEN**0.5, "d": np.zeros(()),
    }  # fmt: skip
    adam_D = _Adam(D, lr[1])
    history = {name: np.empty(steps) for name in ("a", "b", "D loss", "G loss", "slope")} | {"logit": []}
    for step in range(steps):
        # the discriminator's step
        real, noise = data[0] + data[1] * rng.normal(size=BATCH), rng.normal(size=BATCH)
        fake = G["a"] + G["b"] * noise
        (z_real, h_real), (z_fake, h_fake) = _logit(D, real), _logit(D, fake)
        (loss_real, dz_real), (loss_fake, dz_fake) = bce(z_real, 1.0), bce(z_fake, 0.0)
        of_real, of_fake = _backward(D, real, h_real, dz_real / 2)[0], _backward(D, fake, h_fake, dz_fake / 2)[0]
        adam_D.step({name: of_real[name] + of_fake[name] for name in D})
        # the generator's step
        z, h = _logit(D, fake)
        loss, dz = bce(z, 0.0) if saturating else bce(z, 1.0)
        sign = -1 if saturating else 1  # to minimise log(1 - D) is to maximise -log(1 - D)
        dx = _backward(D, fake, h, sign * dz)[1]
        G["a"] -= lr[0] * dx.sum()
        G["b"] -= lr[0] * (dx * noise).sum()
        values = G["a"], G["b"], (loss_real + loss_fake) / 2, sign * loss, abs(dx.sum())
        for name, value in zip(("a", "b", "D loss", "G loss", "slope"), values, strict=True):
            history[name][step] = value
        if (step + 1) % max(1, steps // 10) == 0:
            frozen = {name: value.copy() for name, value in D.items()}
            history["logit"].append(lambda x, frozen=frozen: _logit(frozen, np.asarray(x, float))[0])
    return history


def _logit(D, x):
    """The small network: x of shape (N,) to logits (N,); the hidden values (N, HIDDEN) are kept for the way back."""
    h = np.tanh(x[:, None] @ D["W"] + D["c"])
    return h @ D["v"] + D["d"], h


def _backward(D, x, h, dz):
    """The gradients of D's parameters, and of x."""
    dh = dz[:, None] * D["v"] * (1 - h**2)  # (N, HIDDEN)
    grads = {"W": x[None] @ dh, "c": dh.sum(axis=0), "v": dz @ h, "d": dz.sum()}
    return grads, dh @ D["W"][0]


class _Adam:
    """Adam with a short memory, as DCGAN recommends: beta_1 = 0.5."""

    def __init__(self, params, lr, beta=(0.5, 0.9)):
        self.params, self.lr, self.beta, self.t = params, lr, beta, 0
        self.m, self.s = ({name: np.zeros_like(p) for name, p in params.items()} for _ in range(2))

    def step(self, grads):
        self.t += 1
        for name, g in grads.items():
            self.m[name] = self.beta[0] * self.m[name] + (1 - self.beta[0]) * g
            self.s[name] = self.beta[1] * self.s[name] + (1 - self.beta[1]) * g**2
            m, s = self.m[name] / (1 - self.beta[0] ** self.t), self.s[name] / (1 - self.beta[1] ** self.t)
            self.params[name] -= self.lr * m / (np.sqrt(s) + 1e-8)
