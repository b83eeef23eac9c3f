r"""One step of a recurrent network, many steps, and the way back through time.

The letters: ``T`` steps, ``N`` sequences side by side, ``D`` inputs, ``H`` states; time first. ``x`` is ``(T, N, D)``;
``h`` is ``(T + 1, N, H)``, the state before the first step and after each. Weights as in chapter 04, the output first.

Sources: J. Elman, *Finding structure in time* (1990); P. Werbos, *Backpropagation through time* (1990); S. Hochreiter
and J. Schmidhuber, *Long short-term memory* (1997), with the forget gate of F. Gers, J. Schmidhuber and F. Cummins
(2000); K. Cho et al. (2014) for the GRU; R. Pascanu, T. Mikolov and Y. Bengio (2013) for clipping by the norm.
"""

import numpy as np


def rnn_step(x, h, W, U, b):
    r"""The recurrence: the new state from the input and the old state.

    .. math:: h_{t+1} = \tanh( x_t W^\top + h_t U^\top + b )

    Parameters
    ----------
    x : ndarray, shape (N, D)
    h : ndarray, shape (N, H)
    W : ndarray, shape (H, D)
    U : ndarray, shape (H, H)
    b : ndarray, shape (H,)

    Returns
    -------
    ndarray, shape (N, H)
    """
    return np.tanh(x @ W.T + h @ U.T + b)


def rnn_forward(x, h0, W, U, b, step=rnn_step):
    """Take a step for each input, one after the other.

    Parameters
    ----------
    x : ndarray, shape (T, N, D)
    h0 : ndarray, shape (N, H)
        The state to start from.
    W, U, b
        See :func:`rnn_step`.
    step : callable
        Called as :func:`rnn_step`.

    Returns
    -------
    ndarray, shape (T + 1, N, H)
        ``h0``, then the state after each step.
    """
    h = np.empty((len(x) + 1, *h0.shape), h0.dtype)
    h[0] = h0
    for t in range(len(x)):
        h[t + 1] = step(x[t], h[t], W, U, b)
    return h


def rnn_backward(dh, x, h, W, U):
    r"""Back-propagation through time: the gradients of :func:`rnn_forward`.

    From the last step to the first, with :math:`s_T = 0`:

    .. math::
        da_t &= (dh_{t+1} + s_{t+1}) \odot (1 - h_{t+1}^2) \\
        s_t &= da_t\, U, \qquad dx_t = da_t\, W \\
        dW &= \sum_t da_t^\top x_t, \qquad dU = \sum_t da_t^\top h_t, \qquad db = \sum_{t,n} da_{tn}

    The state reaches the loss in two ways, through its own output (:math:`dh`) and through the next state (:math:`s`);
    the two gradients add up. All steps share their weights, so theirs add up as well.

    Parameters
    ----------
    dh : ndarray, shape (T, N, H)
        The gradient that comes from the output of each step.
    x : ndarray, shape (T, N, D)
    h : ndarray, shape (T + 1, N, H)
        What :func:`rnn_forward` returned.
    W, U
        See :func:`rnn_step`.

    Returns
    -------
    dx, dh0, dW, dU, db : ndarray
        With the shapes of ``x``, the first state, ``W``, ``U``, ``b``.
    """
    dx, dW, dU, db = np.empty_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(U[0])
    s = np.zeros_like(h[0])  # (N, H)
    for t in reversed(range(len(x))):
        da = (dh[t] + s) * (1 - h[t + 1] ** 2)  # (N, H)
        dW += da.T @ x[t]
        dU += da.T @ h[t]
        db += da.sum(axis=0)
        dx[t] = da @ W
        s = da @ U
    return dx, s, dW, dU, db


def clip_gradients(grads, max_norm):
    r"""Shorten the gradient of all parameters together to a length of at most ``max_norm``; its direction stays.

    .. math:: g \leftarrow g \cdot \min\Big(1, \frac{\mathrm{max\_norm}}{\|g\|}\Big),
              \qquad \|g\| = \sqrt{\textstyle\sum_{\text{all arrays}} \sum_k g_k^2}

    Parameters
    ----------
    grads : dict of str to ndarray
    max_norm : float

    Returns
    -------
    dict of str to ndarray
        New arrays by the same names.
    """
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    factor = max_norm / max(norm, max_norm)
    return {name: g * factor for name, g in grads.items()}


def sigmoid(a):
    """``1 / (1 + exp(-a))``, written with tanh so that nothing overflows."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def lstm_step(x, h, c, W, U, b):
    r"""One step of the long short-term memory. The four blocks of ``W``, ``U``, ``b`` are in PyTorch's order.

    .. math::
        (i, f, g, o) &= x W^\top + h U^\top + b \quad\text{cut in four} \\
        c' &= \sigma(f) \odot c + \sigma(i) \odot \tanh(g) \\
        h' &= \sigma(o) \odot \tanh(c')

    Parameters
    ----------
    x : ndarray, shape (N, D)
    h, c : ndarray, shape (N, H)
        What is shown to the others, and the cell that remembers.
    W : ndarray, shape (4H, D)
    U : ndarray, shape (4H, H)
    b : ndarray, shape (4H,)

    Returns
    -------
    h, c : ndarray, shape (N, H)
        After the step.
    """
    i, f, g, o = np.split(x @ W.T + h @ U.T + b, 4, axis=1)  # (N, H) each
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, W, U, b, bU):
    r"""One step of the gated recurrent unit, blocks and biases as PyTorch has them.

    .. math::
        r &= \sigma(x W_r^\top + b_r + h U_r^\top + b'_r), \qquad u = \sigma(x W_u^\top + b_u + h U_u^\top + b'_u) \\
        n &= \tanh\big(x W_n^\top + b_n + r \odot (h U_n^\top + b'_n)\big), \qquad h' = (1 - u) \odot n + u \odot h

    Parameters
    ----------
    x : ndarray, shape (N, D)
    h : ndarray, shape (N, H)
    W, U : ndarray, shapes (3H, D) and (3H, H)
        The blocks ``r``, ``u`` (PyTorch calls it z), ``n``.
    b, bU : ndarray, shape (3H,)
        The biases of the input and of the state.

    Returns
    -------
    ndarray, shape (N, H)
    """
    xr, xu, xn = np.split(x @ W.T + b, 3, axis=1)
    hr, hu, hn = np.split(h @ U.T + bU, 3, axis=1)
    r, u = sigmoid(xr + hr), sigmoid(xu + hu)
    n = np.tanh(xn + r * hn)
    return (1 - u) * n + u * h


def sample(z, temperature, u):
    r"""Draw one index from each row of scores.

    .. math:: p_k \propto e^{z_k / \tau}, \qquad k = \text{the first with } p_0 + \dots + p_k > u

    Parameters
    ----------
    z : ndarray, shape (N, K)
        Scores.
    temperature : float
        :math:`\tau > 0`. Below 1 the likely becomes likelier; near 0 only the best is left.
    u : ndarray, shape (N,)
        Random numbers between 0 and 1, uniform.

    Returns
    -------
    ndarray of int, shape (N,)
    """
    e = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
    edges = np.cumsum(e / e.sum(axis=1, keepdims=True), axis=1)  # (N, K), the last is 1 up to rounding
    return (edges[:, :-1] <= u[:, None]).sum(axis=1)
