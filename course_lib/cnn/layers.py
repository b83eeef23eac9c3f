r"""From features to a loss, and back: softmax, cross-entropy, the fully connected layer, and layers in a row.

The letters: ``N`` images in a batch, ``D`` features, ``K`` classes, scores ``z``, probabilities ``p``, labels ``y``,
the loss ``E``. A gradient has the name and the shape of its tensor: ``dz`` is :math:`\partial E / \partial z`.

Layers keep to chapter 03's agreement: ``forward(x)``, ``backward(dy)``, and ``params`` and ``grads`` by the same names.
"""

import numpy as np

from course_lib.conv_layer import Layer

# ---- from scores to a loss ----


def softmax(z):
    r"""Turn scores into probabilities, row by row.

    .. math:: p_{nk} = \frac{e^{z_{nk} - m_n}}{\sum_j e^{z_{nj} - m_n}}, \qquad m_n = \max_j z_{nj}

    The factor :math:`e^{-m_n}` cancels; with it no exponent is above 0, so nothing overflows.

    Parameters
    ----------
    z : ndarray, shape (N, K)

    Returns
    -------
    ndarray, shape (N, K)
        Rows sum to 1; the dtype of ``z`` if it is floating point.
    """
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, y):
    r"""Mean over the batch of the negative log-probability that softmax gives to the right class.

    .. math:: E = \frac1N \sum_n -\log p_{n,y_n}
                = \frac1N \sum_n \Big( m_n + \log \sum_k e^{z_{nk} - m_n} - z_{n,y_n} \Big)

    The second form is computed: it never takes the logarithm of a probability that has been rounded to 0.

    Parameters
    ----------
    z : ndarray, shape (N, K)
        Scores, not probabilities.
    y : ndarray of int, shape (N,)
        The right class of each row, 0..K-1.

    Returns
    -------
    float
        At least 0; about ``log K`` for a network that knows nothing yet.

    Raises
    ------
    ValueError
        If there is not one label per row, or a label is no class.
    """
    _check_labels(z, y)
    m = z.max(axis=1)
    log_sum = m + np.log(np.exp(z - m[:, None]).sum(axis=1))  # (N,)
    return float((log_sum - z[np.arange(len(y)), y]).mean())


class SoftmaxCrossEntropy:
    r"""Softmax and cross-entropy in one, because their joint gradient is short.

    .. math:: dz_{nk} = \frac{1}{N} \big( p_{nk} - [k = y_n] \big)
    """

    def __init__(self):
        self._p = None

    def forward(self, z, y):
        """Scores ``z`` (N, K) and labels ``y`` (N,) give the mean loss, a number."""
        self._p, self._y = softmax(z), np.array(y)
        return cross_entropy(z, y)

    def backward(self):
        """``dz``, shape (N, K): each row sums to 0."""
        if self._p is None:
            raise ValueError("backward needs what forward keeps: call forward(z, y) first")
        dz = self._p.copy()
        dz[np.arange(len(dz)), self._y] -= 1
        return dz / len(dz)


def _check_labels(z, y):
    if z.ndim != 2 or np.shape(y) != z.shape[:1]:
        raise ValueError(f"scores (N, K) need labels (N,), not {z.shape} and {np.shape(y)}")
    if len(y) == 0 or np.min(y) < 0 or np.max(y) >= z.shape[1]:
        raise ValueError(f"labels must be 0..{z.shape[1] - 1}, one for each row, and there must be a row")


# ---- layers ----


class Linear(Layer):
    r"""Every output sees every input: the fully connected layer.

    .. math:: y = x W^\top + b, \qquad dW = dy^\top x, \qquad db_k = \sum_n dy_{nk}, \qquad dx = dy\, W

    Row ``k`` of ``W`` belongs to output ``k``, as filter ``k`` of a convolution does.

    Parameters
    ----------
    W : ndarray, shape (K, D)
    b : ndarray, shape (K,)
    """

    def __init__(self, W, b):
        if W.ndim != 2 or b.shape != W.shape[:1]:
            raise ValueError(f"W needs shape (K, D) and b (K,), not {W.shape} and {b.shape}")
        super().__init__(W=W, b=b)

    def forward(self, x):
        """``x``: (N, D); ``y``: (N, K)."""
        W, b = self.params["W"], self.params["b"]
        if x.ndim != 2 or x.shape[1] != W.shape[1]:
            raise ValueError(f"x needs shape (N, {W.shape[1]}), not {x.shape}; is a Flatten missing?")
        self._x = x.copy()
        self._y_shape = (len(x), len(W))
        return x @ W.T + b

    def backward(self, dy):
        """``dy``: (N, K); ``dx``: (N, D). Leaves ``grads["W"]`` and ``grads["b"]``, summed over the batch."""
        self._expects(dy)
        self.grads = {"W": dy.T @ self._x, "b": dy.sum(axis=0)}
        return dy @ self.params["W"]


class Flatten(Layer):
    """All axes but the first become one; no number changes."""

    def forward(self, x):
        """``x``: (N, ...); ``y``: (N, D)."""
        self._x_shape = x.shape
        y = x.reshape(len(x), -1)
        self._y_shape = y.shape
        return y

    def backward(self, dy):
        """``dy``: (N, D); ``dx``: the shape of ``x``."""
        self._expects(dy)
        return dy.reshape(self._x_shape)


class Sequential:
    r"""Layers in a row: the output of one is the input of the next.

    ``forward`` composes the functions, ``backward`` is the chain rule, from the last layer to the first:

    .. math:: y = f_L(\dots f_2(f_1(x))), \qquad
              dx = J_1^\top \big( J_2^\top ( \dots J_L^\top\, dy ) \big)

    Parameters
    ----------
    layers : sequence of Layer
    """

    def __init__(self, layers):
        self.layers = list(layers)

    def forward(self, x):
        """From the input of the first layer to the output of the last."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        """From the gradient at the output to the gradient at the input; every layer keeps its ``grads``."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    @property
    def params(self):
        """Every parameter of every layer: ``{"0.W": ..., "0.b": ..., "3.W": ...}``, the arrays themselves."""
        return {f"{k}.{name}": p for k, layer in enumerate(self.layers) for name, p in layer.params.items()}

    @property
    def grads(self):
        """The gradients by the same names, after ``backward``."""
        return {f"{k}.{name}": g for k, layer in enumerate(self.layers) for name, g in layer.grads.items()}


def he(rng, shape, dtype=np.float64):
    r"""Random weights that keep the size of the signal through a layer followed by ReLU (He et al., 2015).

    .. math:: w \sim \mathcal N\!\left(0,\ \frac{2}{n}\right), \qquad n = \text{number of inputs of one output}

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (K, D) or (OC, C, FH, FW)
        The output comes first, the rest are the ``n`` inputs.
    dtype : dtype

    Returns
    -------
    ndarray
    """
    n = np.prod(shape[1:])
    return (rng.normal(size=shape) * np.sqrt(2 / n)).astype(dtype)
