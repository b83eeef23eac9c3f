r"""Attention, its masks, and positions.

The letters: ``N`` sequences in a batch, ``T`` queries, ``S`` keys with a value each, ``d`` numbers in a query or key.
Masks are boolean, **True where looking is allowed**, as in ``torch.nn.functional.scaled_dot_product_attention``.
(``torch.nn.MultiheadAttention`` has it the other way round.)
"""

import math

import torch


def soft_lookup(query, keys, values):
    r"""Look one query up among the keys and return a mixture of their values.

    .. math:: a_s = \frac{e^{q \cdot k_s}}{\sum_{r} e^{q \cdot k_r}}, \qquad y = \sum_s a_s v_s

    Parameters
    ----------
    query : tensor, shape (d,)
    keys : tensor, shape (S, d)
    values : tensor, shape (S, m)

    Returns
    -------
    tensor, shape (m,)
    """
    scores = torch.stack([query @ key for key in keys])  # (S,)
    weights = torch.softmax(scores, dim=0)
    return sum(weights[s] * values[s] for s in range(len(keys)))


def scaled_dot_product_attention(q, k, v, mask=None):
    r"""Every query looks at every key and gets a mixture of the values (Vaswani et al., 2017).

    .. math:: A = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right), \qquad Y = A V

    Parameters
    ----------
    q : tensor, shape (..., T, d)
    k : tensor, shape (..., S, d)
    v : tensor, shape (..., S, m)
    mask : boolean tensor that broadcasts to (..., T, S), optional
        True where query ``t`` may look at key ``s``. Each query needs at least one key.

    Returns
    -------
    y : tensor, shape (..., T, m)
    weights : tensor, shape (..., T, S)
        Each row sums to 1; exactly 0 where the mask is False.

    Raises
    ------
    ValueError
        If the widths of queries and keys differ, or the numbers of keys and values, or the mask is not boolean.
    """
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries have {q.shape[-1]} numbers and keys {k.shape[-1]}; a dot product needs the same")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"there are {k.shape[-2]} keys and {v.shape[-2]} values; each key needs its value")
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"the mask is {mask.dtype}; it must be boolean, True where looking is allowed")
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ v, weights


def causal_mask(T, device=None):
    """Which positions each position may look at if the future is hidden: itself and those before.

    Parameters
    ----------
    T : int

    Returns
    -------
    boolean tensor, shape (T, T)
        Row ``t``, column ``s``: True where ``s <= t``.
    """
    t = torch.arange(T, device=device)
    return t[None, :] <= t[:, None]


def padding_mask(tokens, pad=0):
    """Hide the padding at the end of shorter texts from every query and every head.

    Parameters
    ----------
    tokens : integer tensor, shape (N, S)
    pad : int

    Returns
    -------
    boolean tensor, shape (N, 1, 1, S)
        Broadcasts to (N, heads, T, S).
    """
    return (tokens != pad)[:, None, None, :]


def positional_encoding(T, d):
    r"""Waves of many lengths, from which a position can be read (Vaswani et al., 2017).

    .. math:: P_{t,2i} = \sin\!\big(t \, / \, 10000^{2i/d}\big), \qquad
              P_{t,2i+1} = \cos\!\big(t \, / \, 10000^{2i/d}\big)

    Parameters
    ----------
    T : int
        Positions 0 to T-1.
    d : int
        Even.

    Returns
    -------
    tensor, shape (T, d), float32
    """
    if d % 2:
        raise ValueError(f"the width is {d}; sines and cosines come in pairs, so it must be even")
    t = torch.arange(T, dtype=torch.float64)[:, None]  # (T, 1)
    length = 10_000 ** (torch.arange(0, d, 2, dtype=torch.float64) / d)  # (d/2,)
    P = torch.empty(T, d, dtype=torch.float64)
    P[:, 0::2] = torch.sin(t / length)
    P[:, 1::2] = torch.cos(t / length)
    return P.float()
