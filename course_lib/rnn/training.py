"""A character model in NumPy, and its training by truncated back-propagation through time."""

import numpy as np

from course_lib.cnn import Adam, SoftmaxCrossEntropy, cosine
from course_lib.rnn.ngrams import perplexity
from course_lib.rnn.steps import clip_gradients, rnn_backward, rnn_forward, rnn_step, sample
from course_lib.rnn.text import PAD


def one_hot(x, K, dtype=np.float32):
    """Indices ``(...)`` as rows ``(..., K)`` with a single 1."""
    return np.eye(K, dtype=dtype)[x]


def orthogonal(rng, H, dtype=np.float32):
    """A random matrix ``(H, H)`` whose singular values are all 1: it keeps the length of every vector."""
    q, r = np.linalg.qr(rng.normal(size=(H, H)))
    return (q * np.sign(np.diag(r))).astype(dtype)


class CharRNN:
    r"""Predict the next token from a state.

    .. math:: h_{t+1} = \tanh(\mathrm{onehot}(x_t)\, W^\top + h_t U^\top + b), \qquad z_t = h_{t+1} V^\top + b_z

    Parameters
    ----------
    K, H : int
        Tokens and states.
    rng : numpy.random.Generator
    step, backward : callable
        Called as :func:`rnn_step` and :func:`rnn_backward`.
    dtype : dtype
    """

    def __init__(self, K, H, rng, step=rnn_step, backward=rnn_backward, dtype=np.float32):
        self.K, self.H, self.step, self.backward = K, H, step, backward
        self.loss = SoftmaxCrossEntropy()
        self.params = {
            "W": (0.1 * rng.normal(size=(H, K))).astype(dtype),
            "U": orthogonal(rng, H, dtype),
            "b": np.zeros(H, dtype),
            "V": (rng.normal(size=(K, H)) / np.sqrt(H)).astype(dtype),
            "bz": np.zeros(K, dtype),
        }

    def start(self, N):
        """The state before anything has been read, ``(N, H)``."""
        return np.zeros((N, self.H), self.params["W"].dtype)

    def forward(self, x, h0):
        """Indices ``(T, N)`` and a state give scores ``(T, N, K)`` and the states ``(T + 1, N, H)``."""
        p = self.params
        h = rnn_forward(one_hot(x, self.K, h0.dtype), h0, p["W"], p["U"], p["b"], self.step)
        return h[1:] @ p["V"].T + p["bz"], h

    def gradients(self, x, y, h0):
        """One piece of text: the loss, the gradients by name, and the last state.

        The piece is the end of the way back: what flows out of its first state, ``dh0``, is dropped.
        """
        p, K = self.params, self.K
        z, h = self.forward(x, h0)
        loss = self.loss.forward(z.reshape(-1, K), y.reshape(-1))
        dz = self.loss.backward().reshape(z.shape)  # (T, N, K)
        _, _, dW, dU, db = self.backward(dz @ p["V"], one_hot(x, K, h0.dtype), h, p["W"], p["U"])
        dV = np.einsum("tnk,tnh->kh", dz, h[1:], optimize=True)
        return loss, {"W": dW, "U": dU, "b": db, "V": dV, "bz": dz.sum(axis=(0, 1))}, h[-1]

    def perplexity(self, s, N=16):
        """On a text of indices ``(S,)``, read as ``N`` streams."""
        L = (len(s) - 1) // N
        x = s[: N * L].reshape(N, L).T
        z, _ = self.forward(x, self.start(N))
        return perplexity(z, s[1 : N * L + 1].reshape(N, L).T, PAD)

    def generate(self, start, length, temperature, rng, draw=sample):
        """Indices that follow the indices ``start``, one drawn after the other, each the next input."""
        h, made = self.start(1), []
        for k in start[:-1]:
            h = self.forward(np.array([[k]]), h)[1][-1]
        now = start[-1]
        for _ in range(length):
            z, states = self.forward(np.array([[now]]), h)
            h = states[-1]
            now = int(draw(z[0].astype(np.float64), temperature, rng.random(1))[0])
            made.append(now)
        return made


def train_streams(model, x, y, steps, lr=3e-3, max_norm=1.0, clip=clip_gradients, progress=False, watch=None):
    """Truncated back-propagation through time with Adam, the rate falling along a cosine.

    The state goes on from one piece to the next, the gradient does not. When the streams end, they and the state
    start again.

    Parameters
    ----------
    model : CharRNN
    x, y : ndarray of int, shape (B, T, N)
        From :func:`course_lib.rnn.stream_batches`.
    steps : int
    lr, max_norm : float
    clip : callable, optional
        Called as :func:`clip_gradients`; None: gradients are used as they are.
    progress : bool
        Whether to show a bar.
    watch : callable, optional
        ``watch(step, loss)`` after each step.

    Returns
    -------
    list of float
        The loss of every step, in nats.
    """
    from tqdm.auto import tqdm

    optimizer, losses, h = Adam(lr), [], None
    bar = tqdm(range(steps), unit="step", disable=not progress)
    for k in bar:
        piece = k % len(x)
        if piece == 0:
            h = model.start(x.shape[2])
        loss, grads, h = model.gradients(x[piece], y[piece], h)
        optimizer.lr = lr * cosine(k / steps)
        optimizer.step(model.params, clip(grads, max_norm) if clip else grads)
        losses.append(loss)
        if k % 20 == 0:
            bar.set_postfix(bits=f"{np.mean(losses[-20:]) / np.log(2):.2f}")
        if watch is not None:
            watch(k, loss)
    return losses
