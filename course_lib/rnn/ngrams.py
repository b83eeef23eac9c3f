"""Language models that count, and the measure of all language models."""

import numpy as np

from course_lib.rnn.text import PAD


def ngram_log_prob(x, n, K, alpha):
    r"""Logarithms of the probability of a token after each possible context of ``n - 1`` tokens.

    .. math:: \log p(k \mid c) = \log \frac{\#(c, k) + \alpha}{\sum_{j} \#(c, j) + \alpha K}

    :math:`\#(c, k)` counts how often ``k`` follows ``c`` in the text. With :math:`\alpha > 0` (add-alpha smoothing,
    Laplace's for 1) nothing is impossible, and after a context that never occurred every token has :math:`1/K`.

    Parameters
    ----------
    x : ndarray of int, shape (S,)
        The training text.
    n : int
        1: unigram, 2: bigram, 3: trigram ...
    K : int
        Tokens in the vocabulary.
    alpha : float
        Greater than 0.

    Returns
    -------
    ndarray, shape (K,) * n
        The context's tokens in their order, then the token that follows: ``K ** n`` numbers.
    """
    counts = np.zeros((K,) * n)
    positions = len(x) - n + 1
    np.add.at(counts, tuple(x[k : k + positions] for k in range(n)), 1)  # adds up where an index occurs twice
    smooth = counts + alpha
    return np.log(smooth / smooth.sum(axis=-1, keepdims=True))


def perplexity(z, y, pad=PAD):
    r"""How many equally likely tokens the model hesitates between, on average.

    .. math:: PP = \exp\Big( \frac{1}{|M|} \sum_{m \in M} -\log p_{m, y_m} \Big), \qquad p_m = \mathrm{softmax}(z_m),
              \qquad M = \{m : y_m \ne \mathrm{pad}\}

    Scores may be logarithms of probabilities: softmax turns these into the probabilities themselves.

    Parameters
    ----------
    z : ndarray, shape (..., K)
        Scores, the vocabulary along the last axis.
    y : ndarray of int, shape (...)
        What came.
    pad : int
        Positions with this target are not counted.

    Returns
    -------
    float
        1 for a prophet, ``K`` for one who knows nothing.
    """
    z = z - z.max(axis=-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))  # (..., K)
    right = np.take_along_axis(log_p, y[..., None], axis=-1)[..., 0]  # (...)
    return float(np.exp(-right[y != pad].mean()))


def bits(perplexity):
    """A perplexity as bits for each token: how many yes-or-no questions one answer is worth."""
    return float(np.log2(perplexity))
